"""Archive: zip and tar files of a benchmark, unpacked so that nothing ever leaves their folder.

A file appears whole or not at all; what an earlier, killed run unpacked is not written again.
"""

import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from seekerdata.errors import SeekerError
from seekerdata.workspace import write_atomically

PIECE_BYTES = 1 << 20
_JUNK = re.compile(r"(?:^|/)(?:__MACOSX/|\._|\.DS_Store$)")
_ENDING = re.compile(r"(?:\.zip|\.tar|\.tar\.gz|\.tgz)(?:\.part)?[.-]?[a-z]{0,2}$")


class Archive(NamedTuple):
    """Archives of one kind, and where their files go."""

    files: str
    """Pattern of their names in the data folder. All files that fit a tar's pattern are parts of one tar."""
    into: str
    """Folder in the data folder; `{name}` is the archive's own name."""
    flat: bool = False
    """Put all files into that folder itself, whatever folders the archive has."""
    parts: int = 0
    """How many parts the tar is split into, where that is known."""
    names: tuple[str, ...] = ()
    """Folders inside that stand for `{name}` if the archive itself is called otherwise."""

    @property
    def is_tar(self) -> bool:
        return ".tar" in self.files or ".tgz" in self.files

    def found(self, data: Path) -> list[list[Path]]:
        """The archives of this kind that lie in `data`, each as its parts in order."""
        files = sorted(path for path in data.glob(self.files) if path.is_file())
        if self.is_tar:
            return [files] if files else []
        return [[path] for path in files]


def unpack(archive: Archive, parts: Sequence[Path], data: Path) -> int:
    """Unpack one archive; returns how many files of it lie there now, earlier ones included.

    Raises:
        SeekerError: a member would leave the folder or is no plain file, the archive is damaged or not complete, or
            there is no room.
    """
    unpacked, written = 0, dict[Path, str]()
    _check_parts(archive, parts)
    try:
        for member, size, pieces in (_tar if archive.is_tar else _zip)(parts):
            path = data / _place(archive, member, parts[0])
            if written.setdefault(path, member) != member:
                raise SeekerError(f"{parts[0]}: '{written[path]}' and '{member}' would be the same file {path}")
            if not path.is_file() or path.stat().st_size != size:
                write_atomically(path, pieces)
            unpacked += 1
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        again = "delete it and run the same command again"
        raise SeekerError(f"{parts[0]}: is damaged, or only a part of it is here ({error}); {again}") from None
    except OSError as error:
        raise SeekerError(f"{parts[0]}: cannot be unpacked into {data}: {error.strerror or error}") from None
    return unpacked


def unpacked_bytes(archive: Archive, parts: Sequence[Path]) -> int:
    """How much room the files of an archive take. Videos do not shrink, so a tar is taken to be as large as its parts.

    Raises:
        SeekerError: a zip is damaged.
    """
    if archive.is_tar:
        return sum(part.stat().st_size for part in parts)
    try:
        with zipfile.ZipFile(parts[0]) as opened:
            return sum(info.file_size for info in opened.infolist())
    except zipfile.BadZipFile as error:
        again = "delete it and run the same command again"
        raise SeekerError(f"{parts[0]}: is damaged, or only a part of it is here ({error}); {again}") from None


Member = tuple[str, int, Iterable[bytes]]
"""Name in the archive, size in bytes, the bytes in pieces."""


def _zip(parts: Sequence[Path]) -> Iterator[Member]:
    """The files of a zip; every name is checked before the first is written."""
    (path,) = parts
    with zipfile.ZipFile(path) as opened:
        files = [info for info in opened.infolist() if not info.is_dir() and not _JUNK.search(info.filename)]
        for info in files:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise SeekerError(f"{path}: '{info.filename}' is a link or a device; nothing was unpacked")
            if info.flag_bits & 1:
                raise SeekerError(f"{path}: is locked by a password; nothing was unpacked")
            _inside(info.orig_filename, path)
        for info in files:
            with opened.open(info) as file:
                yield info.filename, info.file_size, _pieces(file)


def _tar(parts: Sequence[Path]) -> Iterator[Member]:
    """The files of a tar, packed or not, read as one stream from its parts."""
    with io.BufferedReader(_Joined(parts), PIECE_BYTES) as stream, tarfile.open(fileobj=stream, mode="r|*") as opened:
        for info in opened:
            if info.isdir() or _JUNK.search(info.name):
                continue
            if not info.isreg():
                raise SeekerError(f"{parts[0]}: '{info.name}' is a link or a device; unpacking stopped there")
            file = opened.extractfile(info)
            assert file is not None, "a plain file has bytes"
            yield info.name, info.size, _pieces(file)
        # Where a part is missing, tarfile takes the first thing that is no header for the end.
        rest: IO[bytes] = opened.fileobj  # type: ignore[assignment]
        while piece := rest.read(PIECE_BYTES):
            if piece.strip(b"\0"):
                raise tarfile.ReadError("something other than a file follows; is a part missing?")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _place(archive: Archive, member: str, path: Path) -> PurePosixPath:
    """Where a member goes in the data folder, without leading folders that only repeat the folder's name."""
    name, parts = _ENDING.sub("", path.name), _inside(member, path).parts
    folder = PurePosixPath(archive.into.format(name=parts[0] if parts[0] in archive.names else name))
    while len(parts) > 1 and parts[0] in (name, folder.name):
        parts = parts[1:]
    return folder.joinpath(*(parts[-1:] if archive.flat else parts))


def _inside(member: str, archive: Path) -> PurePosixPath:
    """A member's path, if it stays inside a folder.

    Raises:
        SeekerError: its name is absolute, goes up, or is no name.
    """
    path = PurePosixPath(member)
    absolute = path.is_absolute() or re.match(r"[A-Za-z]:", member)
    if absolute or ".." in path.parts or "\\" in member or not member.isprintable() or not path.parts:
        shown = member.encode("unicode_escape").decode()[:80]
        raise SeekerError(f"{archive}: '{shown}' would leave its folder; unpacking stopped there")
    return path


def _check_parts(archive: Archive, parts: Sequence[Path]) -> None:
    """Raise SeekerError where the names of a tar's parts have a gap, or there are too few."""
    if not archive.is_tar:
        return
    if archive.parts and len(parts) != archive.parts:
        raise SeekerError(f"{parts[0].parent}: {len(parts)} of {archive.parts} parts of {archive.files} are here")
    for one, other in pairwise(parts):
        if _number(other) - _number(one) != 1:
            raise SeekerError(f"{one.parent}: a part is missing between {one.name} and {other.name}")


def _number(part: Path) -> int:
    """Parts are counted in letters: aa, ab, ..., az, ba."""
    value = 0
    for letter in re.findall(r"[a-z]*$", part.name)[0]:
        value = value * 26 + ord(letter) - ord("a")
    return value


class _Joined(io.RawIOBase):
    """Files read one after another as one."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._left = list(parts)
        self._file: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while self._file or self._left:
            if self._file is None:
                self._file = self._left.pop(0).open("rb")
            if count := self._file.readinto(buffer):  # type: ignore[attr-defined]
                return count
            self._file.close()
            self._file = None
        return 0

    def close(self) -> None:
        if self._file:
            self._file.close()
        super().close()
