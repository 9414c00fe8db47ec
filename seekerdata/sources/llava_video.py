"""llava_video: the LLaVA-Video-178K layout. Every question-answer pair of a conversation is one entry.

Facts from the dataset card of lmms-lab/LLaVA-Video-178K (folders, `*_mc_*`/`*_oe_*`/`*_cap_*` files, licence) and,
where the card is silent, from public code that reads it: videos relative to the subset's folder (or to the root),
several pairs in one conversation, ids repeated in a file, option lines `A. ...`, and the instruction lines.
"""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from seekerdata.errors import ItemError, SeekerError
from seekerdata.listing import FileStamps, SpareIds, is_folder
from seekerdata.mistakes import shown
from seekerdata.row import part_options, read_row
from seekerdata.sample import Sample, digest
from seekerdata.stage import Entry, Source
from seekerdata.workspace import Workspace

__all__ = ["LlavaVideo"]

LICENCE = "Apache-2.0, academic research and education only; videos under their own sources' terms"

_FILE = re.compile(r"_(mc|oe)_(?:.*_)?qa_processed\.json")
_MEDIA = re.compile(r"^\s*(?:<(?:image|video)>\s*)+")
_INSTRUCTION = re.compile(
    r"\s*(?:please respond with only the letter of the correct answer"
    r"|please provide your answer by stating the letter followed by the full option"
    r"|answer the question using a single word or phrase)\.?\s*$",
    re.IGNORECASE,
)


class LlavaVideo(Source):
    """LLaVA-Video-178K as published on the Hub, videos unpacked: multiple-choice and open-ended questions."""

    lists_by = frozenset({"path", "subsets", "kinds"})

    path: Path
    """The dataset's folder, or one of its subsets' folders."""
    subsets: str = "*"
    """Which subsets, as a pattern of folder names: `0_30_s_*`, `*_nextqa`."""
    kinds: tuple[Literal["mc", "oe"], ...] = Field(default=("mc", "oe"), min_length=1)
    """Multiple-choice files, open-ended files, or both. Captions are never read."""

    def entries(self) -> Iterator[Entry]:
        """One entry per question-answer pair, subsets and files in order of name.

        The id is `<conversation's id>-<kind>-<number of the pair>`; where the data repeat it, the later pair
        adds a hash of its content, and a pair with the same content too gets `problem`.

        Raises:
            SeekerError: no such files, a file that is not what it should be, or videos still packed.
        """
        stamps = FileStamps(self.video_root(Path()))
        first: dict[str, tuple[str, str]] = {}
        spare = SpareIds(())
        for file, kind in self._files():
            unpacked = False
            for pair in _pairs(file, kind, self.path.expanduser(), stamps):
                unpacked |= "_file" in pair.data
                yield _with_unique_id(pair, first, spare)
            if not unpacked and any(file.parent.glob("*.tar.gz")):
                raise SeekerError(
                    f"{file.parent}: the videos are still packed; unpack its .tar.gz files there (tar -xzf)"
                )

    def read(self, entry: Entry, workspace: Workspace) -> Sample:
        """The sample of one pair: options taken out of the text, everything checked, its video probed.

        Raises:
            ItemError: see seekerdata/row.py; `bad_row` if the entry was listed with a problem.
        """
        if entry.problem:
            raise ItemError("bad_row", entry.problem)
        data = entry.data
        question, options = split_question(data["human"], data["kind"])
        if data["kind"] == "mc" and not options:
            raise ItemError("bad_options", f"{entry.where}: no lines 'A. ...' in the question")
        row = {
            "video": data["video"],
            "question": question,
            "options": options,
            "answer": data["gpt"],
            "source": f"LLaVA-Video-178K {data['subset']}",
            "licence": LICENCE,
        }
        provenance = {"use": self.plugin_name(), "kind": data["kind"]}
        return read_row(row, workspace, id=entry.id, where=entry.where, provenance=provenance)

    @property
    def at_hand(self) -> bool:
        return self.path.expanduser().exists()

    def video_root(self, out: Path) -> Path:
        """The folder given as `path`; the run's folder plays no part."""
        path = self.path.expanduser()
        if not is_folder(path):
            raise SeekerError(f"{path}: no such folder; correct source.path")
        return path

    def _wants(self, folder: Path) -> bool:
        return is_folder(folder) and fnmatch(folder.name, self.subsets)

    def _files(self) -> list[tuple[Path, str]]:
        """The question files with their kinds; the folder given may itself be a subset."""
        root = self.video_root(Path())
        folders = [root, *sorted(p for p in root.iterdir() if self._wants(p))]
        found = []
        for folder in folders:
            for file in sorted(folder.glob("*.json")):
                match = _FILE.search(file.name)
                if match and match[1] in self.kinds:
                    found.append((file, match[1]))
        if not found:
            kinds = " or ".join(f"*_{kind}_*qa_processed.json" for kind in self.kinds)
            raise SeekerError(
                f"{root}: no {kinds} in it or in its folders '{self.subsets}'; correct source.path or source.subsets"
            )
        return found


def split_question(text: str, kind: str) -> tuple[str, list[str]]:
    """The question and its options (`A. ...` lines, letters kept) without media tags and instruction lines."""
    text = _INSTRUCTION.sub("", _MEDIA.sub("", text)).strip()
    if kind == "oe":
        return text, []
    return part_options(text)


def _pairs(file: Path, kind: str, root: Path, stamps: FileStamps) -> Iterator[Entry]:
    """Every pair of one file, with ids that may still repeat."""
    subset = file.parent.relative_to(root).as_posix()
    name = file.relative_to(root).as_posix()
    for number, talk in enumerate(_read_list(file)):
        where = f"{name}[{number}]"
        if not isinstance(talk, dict) or not isinstance(talk.get("conversations"), list):
            problem = f"{where}: must be an object with a list 'conversations'"
            yield Entry(id=digest(repr(talk)), where=where, problem=problem)
            continue
        if not _is_text(talk):
            problem = f"{where}: holds half a surrogate pair (\\ud800-\\udfff)"
            yield Entry(id=digest(repr(talk)), where=where, problem=problem)
            continue
        video = _found(talk.get("video"), subset, stamps)
        about = {"video": video, "subset": subset if subset != "." else root.name, "kind": kind}
        turns = talk["conversations"]
        for n, start in enumerate(range(0, max(len(turns), 1), 2), 1):
            data: dict[str, Any] = {**about, **stamps.of(video)}
            problem = ""
            try:
                data["human"], data["gpt"] = _said(turns[start : start + 2])
            except ValueError as error:
                problem = f"{where}.conversations[{start}]: {error}"
            id = f"{_id(talk)}-{kind}-{n}"
            place = f"{where}.conversations[{start}]"
            yield Entry(id=id, where=place, data=data, problem=problem)


def _read_list(file: Path) -> list[Any]:
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SeekerError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, list):
        raise SeekerError(
            f"{file}: is not a JSON list of conversations (half a download, or a Git LFS pointer?); "
            "fetch it again, or leave it out by source.subsets"
        )
    return content


def _found(video: Any, subset: str, stamps: FileStamps) -> Any:
    """The video's path from the root: in its subset, where the archives unpack to, or in the root itself."""
    if not isinstance(video, str) or not video.strip() or video.startswith("/") or subset == ".":
        return video
    beside = f"{subset}/{video}"
    return video if not stamps.of(beside) and stamps.of(video) else beside


def _is_text(talk: dict[str, Any]) -> bool:
    """False for what is legal JSON, but cannot be written again as text."""
    try:
        digest(talk)
    except UnicodeEncodeError:
        return False
    return True


def _said(turns: list[Any]) -> tuple[str, str]:
    """The texts of a question and its answer.

    Raises:
        ValueError: the two turns are not a human's text and gpt's.
    """
    if len(turns) != 2:
        raise ValueError("a question without an answer")
    for turn, speaker in zip(turns, ("human", "gpt"), strict=True):
        if not isinstance(turn, dict) or turn.get("from") != speaker:
            raise ValueError(f"expected a turn from '{speaker}', got {shown(turn)}")
        if not isinstance(turn.get("value"), str):
            raise ValueError(f"'value' is {shown(turn.get('value'))}, must be text")
    return turns[0]["value"], turns[1]["value"]


def _id(talk: dict[str, Any]) -> str:
    own = talk.get("id")
    if isinstance(own, str | int) and not isinstance(own, bool) and own != "":
        return str(own)
    return digest(talk)


def _with_unique_id(pair: Entry, first: dict[str, tuple[str, str]], spare: SpareIds) -> Entry:
    """The pair under an id of its own; `first` maps an id to the content and place that had it first."""
    content = digest([pair.data.get(key) for key in ("video", "human", "gpt")])
    id = pair.id if first.get(pair.id, (content,))[0] == content else f"{pair.id}-{content}"
    if id not in first:
        first[id] = (content, pair.where)
        return pair.model_copy(update={"id": id})
    problem = pair.problem or f"{pair.where}: the same pair as {first[id][1]}"
    return pair.model_copy(update={"id": spare.like(id), "problem": problem})
