"""import: other people's tool conversations as a dataset of ours, in a folder that appears whole or not at all.

A row that cannot be read, or whose media are not at hand, is left out with its reason, and its siblings go on.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.card import template
from seekerdata.dataset import sft_row
from seekerdata.errors import ItemError, SeekerError
from seekerdata.plugin import load
from seekerdata.published import MANIFEST, FileFacts, Manifest
from seekerdata.recorded import ImportFormat, Media
from seekerdata.repository import sha256_of
from seekerdata.retelling import files, retell
from seekerdata.sample import digest
from seekerdata.shards import write_config
from seekerdata.stage import Item
from seekerdata.versions import versions
from seekerdata.workspace import Workspace, room_needed, write_atomically

LEFT_OUT = "left_out.jsonl"
EARLY = "a thought names a time before it was shown"
_TOLD_EVERY = 500
_THREADS = min(8, os.cpu_count() or 1)


class Imported(NamedTuple):
    """What was read, and what was not."""

    folder: Path
    rows: int
    left_out: dict[str, int]
    """Rows that were left out, by the reason's code; each with its reason in `left_out.jsonl`."""
    noted: dict[str, int]
    """What is to be known of rows that were kept, with the number of those rows."""


def import_rows(file: Path, form: str, media: Path, out: Path, told: Callable[[str], None]) -> Imported:
    """Write `<out>`, a dataset with the configuration `sft`.

    Args:
        file: rows as they were published: .json (a list), .jsonl or .parquet.
        form: whose rows they are, by the name of a file in `imports/`.
        media: the folder of their videos or pictures.
        out: the folder to be; must not be there yet.
        told: is told how far it is.

    Raises:
        SeekerError: no such form, file or folder; no row could be read.
    """
    kind = load("imports", form)()
    assert isinstance(kind, ImportFormat)
    if out.exists():
        raise SeekerError(f"{out}: is there already; remove it or give another --out")
    if not media.is_dir():
        raise SeekerError(f"{media}: no such folder of media")
    rows = read_file(file)
    part = out.absolute().with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with room_needed(part.parent):
            part.mkdir(parents=True)
            done = _write(_made(rows, kind, media, part, told), kind, file.name, part)
            if not done.rows:
                reason = (part / LEFT_OUT).read_text().partition("\n")[0]
                raise SeekerError(f"{file}: none of its rows could be read as {form}: {reason or 'it has none'}")
            os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done._replace(folder=out)


def read_file(file: Path) -> Iterator[Any]:
    """The rows of a published file, one at a time.

    Raises:
        SeekerError: it is not there, or of another kind.
    """
    if not file.is_file():
        raise SeekerError(f"{file}: no such file of rows")
    if file.suffix == ".parquet":
        import pyarrow.parquet

        try:
            opened = pyarrow.parquet.ParquetFile(file)
        except pyarrow.ArrowInvalid as error:
            raise SeekerError(f"{file}: is not Parquet: {error}") from None
        return (row for batch in opened.iter_batches(batch_size=16) for row in batch.to_pylist())
    if file.suffix == ".jsonl":
        return _lines(file)
    if file.suffix != ".json":
        raise SeekerError(f"{file}: rows are read from .json, .jsonl or .parquet")
    try:
        rows = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise SeekerError(f"{file}: is not a JSON list of rows (half a download, or a Git LFS pointer?)")
    return iter(rows)


def _lines(file: Path) -> Iterator[Any]:
    with file.open("rb") as lines:
        for line in filter(bytes.strip, lines):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                yield ItemError("bad_row", f"is not JSON: {error}")


class _Made(NamedTuple):
    """One row of the file: what became of it."""

    id: str
    row: dict[str, Any] | None
    fault: ItemError | None = None
    noted: tuple[str, ...] = ()


def _made(
    rows: Iterable[Any], kind: ImportFormat, media: Path, part: Path, told: Callable[[str], None]
) -> Iterator[_Made]:
    """The rows in their order, several at work at a time; the same conversation once only."""
    workspace = Workspace(root=part, video_root=media)
    numbered, known = enumerate(rows), _Known()
    with ThreadPoolExecutor(_THREADS) as pool:
        while some := list(islice(numbered, 2 * _THREADS)):
            yield from map(known.once, pool.map(lambda one: _one(one[0], one[1], kind, workspace), some))
            number = some[-1][0] + 1
            if number // _TOLD_EVERY > some[0][0] // _TOLD_EVERY:
                told(f"{number} rows read")


class _Known:
    """The rows so far: what they say and what they are called."""

    def __init__(self) -> None:
        self._said, self._names = set[str](), set[str]()

    def once(self, made: _Made) -> _Made:
        """The row, if nothing before said the same; under another name if another conversation has its name."""
        if made.row is None:
            return made
        said = digest([made.row["question"], made.row["messages"]])
        if said in self._said:
            return made._replace(row=None, fault=ItemError("duplicate", "the same as an earlier row"))
        name = made.id if made.id not in self._names else f"{made.id}-{said[:8]}"
        self._said.add(said)
        self._names.add(name)
        return made._replace(id=name, row=made.row | {"id": name})


def _one(number: int, raw: Any, kind: ImportFormat, workspace: Workspace) -> _Made:
    name = f"{kind.plugin_name()}-{number}"
    try:
        if isinstance(raw, ItemError):
            raise raw
        if not isinstance(raw, Mapping):
            raise ItemError("bad_row", "is not an object")
        recorded = kind.read(raw, Media(workspace.video_root))
        name = recorded.id or name
        told = retell(recorded, name, kind, workspace)
        item = Item(sample=told.sample, trajectory=told.trajectory)
        row = sft_row(item, workspace, "reference" if recorded.video else "embedded", files(recorded))
        digest([name, row["question"], row["messages"]])
        return _Made(name, row, noted=(*recorded.lost, *(EARLY,) * bool(told.early)))
    except ItemError as fault:
        return _Made(name, None, fault)
    except UnicodeEncodeError:  # legal JSON, but no text that can be written
        return _Made(name, None, ItemError("bad_text", "holds half a surrogate pair"))


def _write(rows: Iterator[_Made], kind: ImportFormat, name: str, part: Path) -> Imported:
    """Rows as they are made, those left out beside them, then the card and the manifest."""
    codes, noted = Counter[str](), Counter[str]()
    with (part / LEFT_OUT).open("w", encoding="utf-8", errors="backslashreplace") as left_out:

        def kept() -> Iterator[dict[str, Any]]:
            for made in rows:
                noted.update(set(made.noted) if made.row else ())
                if made.row:
                    yield made.row | {"made_by": []}
                elif made.fault:
                    codes[made.fault.code] += 1
                    facts = {"id": made.id, "code": made.fault.code, "reason": made.fault.message}
                    left_out.write(json.dumps(facts, ensure_ascii=False) + "\n")

        count = write_config("sft", kept(), part)
    done = Imported(part, count, dict(sorted(codes.items())), dict(sorted(noted.items())))
    stage = {"name": "import", "kept": count, "dropped": 0, "failed": sum(codes.values()), "reasons": done.left_out}
    shards = sorted(part.rglob("*.parquet"))
    content = digest([sha256_of(path) for path in shards])
    card = template("imported.md.jinja").render(
        form=kind.plugin_name(), kind=kind, name=name, done=done, content=content
    )
    write_atomically(part / "README.md", card.encode())
    facts = {
        path.relative_to(part).as_posix(): FileFacts(sha256=sha256_of(path), size=path.stat().st_size)
        for path in [*shards, part / "README.md"]
    }
    package = {key: value for key, value in versions().items() if key != "platform"}
    manifest = Manifest(
        name=Path(name).stem, version=None, rows={"sft": count}, files=facts, stages=[stage], versions=package
    )
    write_atomically(part / MANIFEST, manifest.text().encode())
    return done
