"""Workspace: the files of one run. Every file is named by its content and appears whole or not at all."""

import base64
import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from seekerdata.errors import ItemError, SeekerError
from seekerdata.peer_decoder import PYAV, DecoderName

if TYPE_CHECKING:
    from seekerdata.video import FrameCache, Video

CACHED_FRAME_BYTES = 256_000_000
"""Decoded frames kept by each process: an overview and the crops of two videos."""

TEMPORARY = ".tmp-"
"""How a file's name begins while it is being written."""

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file (whole or in pieces) so that a reader, or a run after a kill, finds all of it or none of it.

    Raises:
        SeekerError: the disk is full or not writable; names the folder and what to do.
    """
    with room_needed(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def room_needed(folder: Path) -> Iterator[None]:
    """Around writing into a folder: a full or read-only disk is the user's to mend, and is said in one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in OUT_OF_SPACE:
            raise
        hint = "finished work is kept, run the same command again when there is room"
        raise SeekerError(f"cannot write {folder}: {error.strerror}; {hint}") from None


class Workspace(BaseModel):
    """The run folder and the folder its videos are in. Cheap to make and to send to another process."""

    model_config = ConfigDict(frozen=True)

    root: Path
    video_root: Path

    def video(self, path: str, decoder: DecoderName = PYAV) -> "Video":
        """The `Video` of a path relative to the video folder; it keeps its probe, never an open file.

        Raises:
            ItemError: the path leaves the video folder.
        """
        return _video(self.video_root, path, decoder)

    def write_frame(self, rgb: np.ndarray) -> str:
        """Write an RGB frame (H, W, 3 uint8) as JPEG q95 4:4:4; returns its path relative to the run folder."""
        data = encode_jpeg(rgb)
        relative = frame_path(data)
        path = self.root / relative
        if not path.exists():
            write_atomically(path, data)
        return relative

    def read_bytes(self, relative: str) -> bytes:
        """A file of the run, by its path relative to the run folder."""
        path = self.root / relative
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ItemError("missing", f"{path}: the run's own file is gone") from None

    def picture(self, relative: str) -> Image.Image:
        """A frame file of the run as an RGB picture."""
        with Image.open(io.BytesIO(self.read_bytes(relative))) as image:
            return image.convert("RGB")


def frame_path(jpeg: bytes) -> str:
    """Where a frame file lies in a run's folder, by its content."""
    name = hashlib.sha256(jpeg).hexdigest()[:24]
    return f"frames/{name[:2]}/{name}.jpg"


def encode_jpeg(rgb: np.ndarray) -> bytes:
    """JPEG quality 95 without chroma subsampling: 4:2:0 smears coloured marks (17/255 against 0.9)."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def jpeg_uri(jpeg: bytes) -> str:
    """A JPEG file as a data URI: how pictures travel to a model."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


@lru_cache(maxsize=64)
def _video(root: Path, relative: str, decoder: DecoderName) -> "Video":
    """Questions about one video stand together, so its frames are worth keeping for the next one."""
    from seekerdata.video import Video

    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ItemError("bad_path", f"video path leaves its folder: {relative}")
    return Video(root / relative, cache=_frame_cache(), decoder=decoder)


@lru_cache(maxsize=1)
def _frame_cache() -> "FrameCache":
    from seekerdata.video import FrameCache

    return FrameCache(CACHED_FRAME_BYTES)
