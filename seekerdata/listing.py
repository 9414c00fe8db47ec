"""Listing: what every source needs to list its entries: stamps of the video files, and ids for repeated rows."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seekerdata.errors import ItemError
from seekerdata.row import inside_path


class FileStamps:
    """Size and time of change of a folder's files, part of an entry so that a changed video is done again.

    Each file is asked once, however many questions it has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, list[int] | None] = {}

    def of(self, path: Any) -> dict[str, list[int]]:
        """`{"_file": [size, mtime_ns]}`, or nothing when there is no such file inside the folder."""
        try:
            inside = inside_path(path)
        except ItemError:
            return {}
        if inside not in self._known:
            self._known[inside] = self._stat(inside)
        stamp = self._known[inside]
        return {"_file": stamp} if stamp else {}

    def _stat(self, path: str) -> list[int] | None:
        try:
            status = (self.folder / path).stat()
        except (OSError, ValueError):  # e.g. a name that is too long: reading it will say so
            return None
        return [status.st_size, status.st_mtime_ns]


class SpareIds:
    """Ids for the second and later rows of one id: `x#2`, `x#3`, never an id that some row has of its own."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def like(self, id: str) -> str:
        """The next free id for a row that repeats `id`."""
        while True:
            self._last[id] = self._last.get(id, 1) + 1
            spare = f"{id}#{self._last[id]}"
            if spare not in self._taken:
                self._taken.add(spare)
                return spare


def is_file(path: Path) -> bool:
    """True for a file that can be reached; a folder without permission counts as absent."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """True for a folder that can be reached."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
