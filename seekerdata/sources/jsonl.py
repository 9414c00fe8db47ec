"""jsonl: a folder of videos with one JSON line per question. A bad line is one failed entry; the others go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seekerdata.errors import ItemError, SeekerError
from seekerdata.listing import FileStamps, SpareIds, is_file, is_folder
from seekerdata.mistakes import shown
from seekerdata.row import read_row
from seekerdata.sample import Sample, digest
from seekerdata.stage import Entry, Source
from seekerdata.workspace import Workspace

__all__ = ["Jsonl"]

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Jsonl(Source):
    """Any folder of videos with one JSON line per question: id, video, question, options, answer, annotations."""

    lists_by = frozenset({"path", "videos", "questions"})

    path: Path
    """The folder that holds the videos and one .jsonl file, or the .jsonl file itself."""
    videos: str = ""
    """The videos' folder, relative to the questions; default `videos` beside them if there is one, else theirs."""
    questions: str = ""
    """Name of the questions' file, when the folder holds several."""
    annotations: str = "annotations"
    """The rows' field with tag, window, boxes and masks, as seekerdata/annotation.py reads it."""
    origin: str = ""
    """Where the videos come from, for rows without a `source` of their own."""
    licence: str = ""
    """The videos' licence, for rows without a `licence` of their own."""

    def entries(self) -> Iterator[Entry]:
        """One entry per line that is not blank; `problem` names what keeps a line from being used.

        Raises:
            SeekerError: no questions' file, several of them, or one without a single usable line of text.
        """
        file = self._file()
        stamps = FileStamps(self.video_root(file.parent))
        lines = [_Line(f"{file.name}:{n}", text) for n, text in _numbered(file)]
        _refuse_useless(file, lines)
        first: dict[str, str] = {}
        spare = SpareIds(line.id for line in lines)
        for line in lines:
            data = {**line.row, **stamps.of(line.row.get("video"))}
            if line.id not in first:
                first[line.id] = line.where
                yield Entry(id=line.id, where=line.where, data=data, problem=line.problem)
            else:
                problem = line.repeats(first[line.id])
                yield Entry(id=spare.like(line.id), where=line.where, data=data, problem=problem)

    def read(self, entry: Entry, workspace: Workspace) -> Sample:
        """The sample of one line: everything checked, its video probed.

        Raises:
            ItemError: see seekerdata/row.py; `bad_row` if the entry was listed with a problem.
        """
        if entry.problem:
            raise ItemError("bad_row", entry.problem)
        return read_row(
            entry.data,
            workspace,
            id=entry.id,
            where=entry.where,
            provenance={"use": self.plugin_name()},
            annotations=self.annotations,
            origin=self.origin,
            licence=self.licence,
        )

    @property
    def at_hand(self) -> bool:
        return self.path.expanduser().exists()

    def video_root(self, out: Path) -> Path:
        """The folder of the videos; the run's folder plays no part."""
        folder = self._file().parent
        if self.videos:
            root = folder / Path(self.videos).expanduser()
            if not is_folder(root):
                raise SeekerError(f"{root}: no such folder of videos; correct source.videos")
            return root
        return folder / "videos" if is_folder(folder / "videos") else folder

    def _file(self) -> Path:
        path = self.path.expanduser()
        if is_file(path):
            if self.questions:
                raise SeekerError(f"{path}: already names the file; leave out source.questions")
            return path
        if not is_folder(path):
            raise SeekerError(f"{path}: no such folder or file; correct source.path")
        if self.questions:
            if is_file(path / self.questions):
                return path / self.questions
            raise SeekerError(f"{path / self.questions}: no such file; correct source.questions")
        found = sorted(p for p in path.glob("*.jsonl") if is_file(p))
        if not found:
            raise SeekerError(f"{path}: holds no .jsonl file with questions; correct source.path")
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise SeekerError(f"{path}: holds {len(found)} .jsonl files; say which by source.questions: {names}")
        return found[0]


class _Line:
    """One line: its row, its id, and the problem that keeps it from being used."""

    def __init__(self, where: str, text: bytes) -> None:
        self.where, self.problem, self.undecodable = where, "", False
        self.row: dict[str, Any] = {}
        self.id = digest(text.decode("utf-8", "replace").strip())
        self.has_id = False
        self.is_list = text.lstrip().startswith(b"[")
        self.opens_list = False
        try:
            row = json.loads(text.decode("utf-8"))
        except UnicodeDecodeError as error:
            self.undecodable = True
            self.problem = f"{where}: not UTF-8 at byte {error.start + 1} of the line"
        except (ValueError, RecursionError) as error:
            cause = "nested too deeply" if isinstance(error, RecursionError) else error
            self.problem = f"{where}: not JSON: {cause}"
            self.opens_list = self.is_list
        else:
            self._take(row)

    def _take(self, row: Any) -> None:
        if not isinstance(row, dict):
            self.problem = f"{self.where}: is {shown(row)}, must be a JSON object"
            return
        try:
            content = digest(row)
        except UnicodeEncodeError:  # legal JSON, but no text that could be written again
            self.problem = f"{self.where}: holds half a surrogate pair (\\ud800-\\udfff)"
            return
        self.row, self.id = row, content
        own = row.get("id")
        if isinstance(own, str | int) and not isinstance(own, bool) and own != "":
            self.id, self.has_id = str(own), True
        elif own not in (None, ""):
            self.problem = f"{self.where}: id is {shown(own)}, must be text or a whole number"

    def repeats(self, first: str) -> str:
        """The problem of a line whose id was already seen on the line `first`."""
        if self.has_id:
            return f"{self.where}: duplicate id {shown(self.id)}, first at {first}"
        return self.problem or f"{self.where}: the same row as {first}"


def _numbered(file: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank; without the mark that some editors put in front."""
    try:
        with open(file, "rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if number == 1 and line.startswith(_UTF16):
                    raise SeekerError(f"{file}: is UTF-16; save it as UTF-8")
                if text.strip():
                    yield number, text.rstrip(b"\r\n")
    except OSError as error:
        raise SeekerError(f"{file}: cannot be read: {error.strerror}") from None


def _refuse_useless(file: Path, lines: list[_Line]) -> None:
    if not lines:
        raise SeekerError(f"{file}: is empty; write one JSON object per question and line")
    if all(line.undecodable for line in lines):
        raise SeekerError(f"{file}: is not UTF-8 text; save it as UTF-8 (is it the right file?)")
    if lines[0].opens_list or (len(lines) == 1 and lines[0].is_list):
        raise SeekerError(f"{file}: is one JSON list; write one JSON object per question and line")
