"""ExportFormat: how one trainer wants its rows. A plugin in `exports/`; it makes records and says what is lost in them.

A record is written at once, to `<config>.jsonl` with pictures as files beside it or to `<config>.parquet` with pictures
inside; nothing is kept in memory but a few rows.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.plugin import Plugin
from seekerdata.trajectory import Turn
from seekerdata.workspace import frame_path, write_atomically

ROWS_AT_ONCE = 8
"""Rows of a Parquet row group: some hundred pictures."""

Record = dict[str, Any]
Put = Callable[[Record], None]


class Shown(NamedTuple):
    """A row of a dataset with its turns and, in their order, the JPEG files of all pictures in them."""

    config: str
    number: int
    row: dict[str, Any]
    turns: tuple[Turn, ...]
    pictures: list[bytes]
    mark: bytes
    """The file of the marked frame in full size; empty in a row without a mark."""


class ExportFormat(Plugin):
    """One trainer's rows."""

    configs: ClassVar[tuple[str, ...]] = ("sft", "rl")
    """What the trainer can be given."""
    carried: ClassVar[dict[str, tuple[str, ...]]]
    """The dataset's columns that a row of each configuration holds, under whatever name."""

    def record(self, shown: Shown, folder: Path) -> Record:
        """The row as the trainer reads it; what is a file beside it is written into `folder`.

        Raises:
            ItemError: the row cannot be told in this format.
        """
        raise NotImplementedError

    def lost(self, shown: Shown) -> list[str]:
        """What the trainer will not know of this row, one short line for each kind."""
        raise NotImplementedError

    def writing(self, config: str, folder: Path) -> AbstractContextManager[Put]:
        """An open file that takes records one by one."""
        raise NotImplementedError

    def how_to(self, config: str, rows: int) -> str:
        """Markdown: how the trainer is told to read the folder."""
        raise NotImplementedError

    def finish(self, config: str, folder: Path) -> None:
        """Write what the trainer wants beside the rows, such as an index."""


@contextmanager
def json_lines(path: Path) -> Iterator[Put]:
    """A file that takes a record a line."""
    with path.open("w", encoding="utf-8") as file:

        def put(record: Record) -> None:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

        yield put


@contextmanager
def parquet(path: Path, schema: Any) -> Iterator[Put]:
    """A Parquet file of a schema that takes records, a few at a time."""
    import pyarrow
    import pyarrow.parquet

    waiting = list[Record]()
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
            waiting.clear()

        def put(record: Record) -> None:
            waiting.append(record)
            if len(waiting) == ROWS_AT_ONCE:
                flush()

        yield put
        if waiting:
            flush()


def as_files(pictures: list[bytes], folder: Path) -> list[str]:
    """Write pictures named by their content, each once; their paths relative to the folder."""
    return [as_file(picture, folder) for picture in pictures]


def as_file(picture: bytes, folder: Path) -> str:
    """See `as_files`."""
    path = frame_path(picture)
    if not (folder / path).exists():
        write_atomically(folder / path, picture)
    return path


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes are a picture as builds keep them."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            return picture.format == "JPEG"
    except OSError as error:
        raise ItemError("bad_picture", f"a picture cannot be read: {error}") from None
