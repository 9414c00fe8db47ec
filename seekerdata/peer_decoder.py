"""PeerDecoder: pictures of a video as decord or torchcodec give them, to reproduce evaluations that read by those.

Which picture bears a number, its colours and its turning are the library's own, faults included. Neither library is a
dependency, and neither meets a file that PyAV has not opened before (see `media_file.py`).
"""

import importlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from seekerdata.errors import SeekerError
from seekerdata.media_file import VideoError

DecoderName = Literal["pyav", "decord", "torchcodec"]
PYAV: DecoderName = "pyav"
BATCH = 8
"""Pictures decoded together, in full size: 50 MB at 1080p."""
_PLACE = re.compile(r"^(\[[\d:]+\] \S+:\d+: |\w+, \S+:\d+, )+")
"""Before a library's words: the time of day, the line of its source."""


def decoder_version(decoder: DecoderName) -> str:
    """The package and its version, such as `pyav 18.1.0`; `decord2` and other builds under the same name say so.

    Raises:
        SeekerError: it is not installed, or does not load beside the torch or FFmpeg that is here.
    """
    if decoder == PYAV:
        return f"{PYAV} {importlib.metadata.version('av')}"
    return _named(decoder, _load(decoder))


def pictures(decoder: DecoderName, path: str, numbers: Sequence[int], threads: int = 1) -> Iterator[np.ndarray]:
    """The pictures of these numbers as RGB, uint8 (H, W, 3), upright if the library turns them; of a number past the
    library's own count its last one.

    Args:
        decoder: whose pictures; not PyAV.
        path: the file.
        numbers: ascending; the first picture is 0.
        threads: decoder threads.

    Raises:
        SeekerError: as `decoder_version`.
        VideoError: `unsupported`: the library refuses the file or cannot decode it to there.
    """
    module = _load(decoder)
    refusals = (getattr(module, "DECORDError", RuntimeError), RuntimeError, AssertionError, IndexError, ValueError)
    try:
        whole = str(Path(path).absolute())  # so that a name such as concat:a is no protocol
        count, batch = _READERS[decoder](module, whole, threads)
        for first in range(0, len(numbers), BATCH):
            yield from batch([min(number, count - 1) for number in numbers[first : first + BATCH]])
    except refusals as error:
        said = _PLACE.sub("", str(error).strip().partition("\n")[0]).replace(whole, path)[:120]
        raise VideoError("unsupported", f"{path}: {decoder} cannot read it ({said or type(error).__name__})") from error


_Batch = Callable[[list[int]], np.ndarray]


def _decord(module: ModuleType, path: str, threads: int) -> tuple[int, _Batch]:
    """How many pictures decord counts, and what reads some of them, (n, H, W, 3)."""
    module.logging.set_level(module.logging.QUIET)  # it would write hundreds of lines for one damaged file
    reader = module.VideoReader(path, num_threads=threads)
    return len(reader), lambda numbers: reader.get_batch(numbers).asnumpy()


def _torchcodec(module: ModuleType, path: str, threads: int) -> tuple[int, _Batch]:
    reader: Any = module.VideoDecoder(path, num_ffmpeg_threads=threads, dimension_order="NHWC")
    return len(reader), lambda numbers: reader.get_frames_at(numbers).data.numpy()


_READERS = {"decord": _decord, "torchcodec": _torchcodec}
_MODULES = {"decord": "decord", "torchcodec": "torchcodec.decoders"}


@lru_cache
def _named(decoder: DecoderName, module: ModuleType) -> str:
    """What is loaded under a library's name: looking through all that is installed takes a while."""
    if packages := importlib.metadata.packages_distributions().get(decoder):
        return f"{packages[0]} {importlib.metadata.version(packages[0])}"
    return f"{decoder} {getattr(module, '__version__', 'of unknown version')}"


def _load(decoder: DecoderName) -> ModuleType:
    try:
        importlib.import_module(decoder)  # alone first, so that its own absence is told from that of a part
        return importlib.import_module(_MODULES[decoder])
    except ModuleNotFoundError as error:
        if error.name == decoder:
            raise SeekerError(f"decoder {decoder} needs: pip install {decoder}") from None
        cause = str(error)
    except (ImportError, OSError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:160]
    raise SeekerError(f"decoder {decoder} is installed but cannot be loaded: {cause}")
