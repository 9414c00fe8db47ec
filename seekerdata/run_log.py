"""The run's log: `<out>/run.log`, a line with its time for every stage, repeated call and failure. Written, never read.

Lines come from many threads and processes; each is one short write at the end of the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

NAME = "run.log"

_where: ContextVar[tuple[Path, str] | None] = ContextVar("_where", default=None)


@contextmanager
def logging(folder: Path, about: str) -> Iterator[None]:
    """Lines written inside go to this folder's log and say what they are about; model calls made inside too."""
    token = _where.set((folder, about))
    try:
        yield
    finally:
        _where.reset(token)


def log(text: str) -> None:
    """Write a line; outside a run there is no log and nothing is written. `text` holds no secret."""
    if where := _where.get():
        folder, about = where
        line = " ".join(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {about}: {text}".split())
        with open(folder / NAME, "a", encoding="utf-8") as file:
            file.write(line + "\n")
