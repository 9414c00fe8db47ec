"""Video: a file read by time, the only code that decodes. Every frame carries its true time.

Nothing stays open between calls, so a Video may be forked, pickled and shared by threads.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from seekerdata.container import TIME_SLACK_S, Container
from seekerdata.decoder import Decoder
from seekerdata.frame import Frame, FrameCache, Frames
from seekerdata.media_file import VideoError
from seekerdata.peer_decoder import PYAV, DecoderName, pictures
from seekerdata.pixels import HDR_TRANSFERS, Orientation, color_of, fit_size, orientation_of, shrunk, to_rgb
from seekerdata.sampling import At, FpsCapped, Sampling, Uniform, at, fps_capped, uniform

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = [
    "At", "Clip", "FpsCapped", "Frame", "FrameCache", "Frames", "Sampling", "Uniform", "Video", "VideoError",
    "VideoInfo", "at", "fit_size", "fps_capped", "uniform",
]  # fmt: skip


class VideoInfo(BaseModel):
    """What a video is. Sizes are as displayed: upright, but not stretched by `sar`.

    Attributes:
        duration_s: seconds from the first frame to the end of the last, as the container states it.
        size_wh: display width and height in pixels, after turning.
        sar: sample aspect ratio, the width of a pixel over its height; 1.0 when square or not stated.
        fps: average frames per second; 0.0 if the container does not tell.
        rotation_deg: counter-clockwise turn (0, 90, 180, 270) that every frame gets.
        mirrored: every frame is mirrored left to right before it is turned.
        hdr: True for PQ and HLG; their frames are not tone mapped, so they look flat.
        color_matrix, color_range, color_transfer: as tagged in the stream, `unspecified` if not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration_s: float
    size_wh: tuple[int, int]
    sar: float
    fps: float
    codec: str
    pixel_format: str
    bit_depth: int
    rotation_deg: int
    mirrored: bool
    hdr: bool
    color_matrix: str
    color_range: str
    color_transfer: str


_Identity = tuple[str, int, int, str]
"""A file on disk as it is now, and whose pictures of it."""


@dataclass(frozen=True)
class _Read:
    """What decoding gave: the frame of each time, damaged packets met, sizes met."""

    frames: dict[float, Frame]
    packet_errors: int
    sizes_wh: frozenset[tuple[int, int]]


class Video:
    """A local video file.

    Args:
        path: the file; errors name it as given here.
        budget_s: seconds one call may take before it raises `decode_timeout`.
        cache: share decoded frames through it; a file that changes on disk is another video to it.
        threads: decoder threads; leave at 1 in worker processes.
        decoder: whose pictures `frames` gives; what the file is and when its frames are shown is always PyAV's word.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        budget_s: float = 60.0,
        cache: FrameCache | None = None,
        threads: int = 1,
        decoder: DecoderName = PYAV,
    ) -> None:
        self.path = os.fspath(path)
        self.budget_s, self.cache, self.threads, self.decoder = budget_s, cache, threads, decoder
        self._info: VideoInfo | None = None
        self._shown_s: np.ndarray | None = None
        self._sha256: str | None = None

    def __repr__(self) -> str:
        return f"Video({self.path!r})"

    @property
    def info(self) -> VideoInfo:
        """What the file is, probed once. Raises VideoError."""
        if self._info is None:
            with self._decoder() as decoder:
                self._info = _probe(decoder)
        return self._info

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the file's bytes, computed once. Raises VideoError if it cannot be read."""
        if self._sha256 is None:
            try:
                with open(self.path, "rb") as file:
                    self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise _unreadable(self.path, error) from error
        return self._sha256

    @property
    def shown_s(self) -> np.ndarray:
        """When each frame comes on screen, in seconds, float64 (n,), in the order shown; its place is the frame's
        number. The first call reads all packets of the file and decodes none. Raises VideoError."""
        if self._shown_s is None:
            with Container(self.path) as file:
                self._shown_s = file.shown_s()
        return self._shown_s

    def numbers(self, times_s: Iterable[float]) -> list[int]:
        """The number of the frame on screen at each time, from 0, as those count who read frames by number.

        Raises:
            VideoError: as `shown_s`.
        """
        found = np.searchsorted(self.shown_s, np.array([*times_s], float) + float(TIME_SLACK_S), side="right") - 1
        return np.maximum(found, 0).tolist()

    def clip(self, start_s: float = 0.0, end_s: float | None = None) -> Clip:
        """The stretch from start to end in seconds; the whole video by default."""
        return Clip(self, start_s, self.info.duration_s if end_s is None else end_s)

    def frames(self, times_s: Iterable[float], *, max_pixels: int | None = None) -> Frames:
        """The frame on screen at each time: the last one that starts at or before it.

        The first frame if the time precedes it, the last if it is past the end. Duplicates are fine. A damaged video
        gives what can be decoded; `Frames` tells how much was damaged.

        Args:
            times_s: seconds from the video's start, in any order; results keep this order.
            max_pixels: shrink, keeping the aspect, so that w * h <= max_pixels; never enlarges.

        Raises:
            VideoError: the file cannot be read, or not one frame of it (`no_frames`; `too_corrupt` if its packets
                are damaged), or it takes longer than `budget_s`.
            ValueError: a time is not finite.
        """
        times = [float(time_s) for time_s in times_s]
        if not all(map(math.isfinite, times)):
            raise ValueError("times must be finite")
        read = self._decode(times, max_pixels) if self.cache is None else self._share(times, max_pixels)
        return Frames([read.frames[time_s] for time_s in times], times, read.packet_errors, read.sizes_wh)

    def _share(self, times: list[float], max_pixels: int | None) -> _Read:
        """Take from the cache what it has and decode the rest into it."""
        assert self.cache is not None
        identity, reads = self._identity(), list[_Read]()

        def decode(keys: list[tuple[_Identity, float, int | None]]) -> dict[tuple[_Identity, float, int | None], Frame]:
            reads.append(self._decode([time_s for _, time_s, _ in keys], max_pixels))
            return {key: reads[-1].frames[key[1]] for key in keys}

        shared = self.cache.share([(identity, time_s, max_pixels) for time_s in times], decode)
        frames = {time_s: frame for (_, time_s, _), frame in shared.items()}
        sizes = frozenset[tuple[int, int]]().union(*(read.sizes_wh for read in reads))
        return _Read(frames, sum(read.packet_errors for read in reads), sizes)

    def _decode(self, times: list[float], max_pixels: int | None) -> _Read:
        """Decode what is on screen at these times."""
        if not times:
            return _Read({}, 0, frozenset())
        if self.decoder != PYAV:
            return self._decode_by_peer(times, max_pixels)
        found: dict[int, Frame] = {}
        sizes: set[tuple[int, int]] = set()
        with self._decoder() as decoder:
            tick_of = {time_s: decoder.file.tick_at(time_s) for time_s in times}
            last: VideoFrame | None = None
            for tick, picture in decoder.frames_at(sorted(set(tick_of.values()))):
                if last is None:
                    turn = orientation_of(picture)
                    as_stated = decoder.file.size_wh == (picture.width, picture.height)
                    first_wh = turn.size(decoder.file.size_wh) if as_stated else self.info.size_wh
                    size_wh = fit_size(first_wh, max_pixels)
                if picture is not last:
                    last = picture
                    sizes.add(turn.size((picture.width, picture.height)))
                    rgb = _rgb(self.path, picture, size_wh, turn)
                    frame = Frame(decoder.file.seconds(picture.pts or 0), rgb, decoder.is_damaged(picture))
                found[tick] = frame
            if not found:
                raise _nothing(decoder)
            return _Read({t: found[k] for t, k in tick_of.items()}, decoder.packet_errors, frozenset(sizes))

    def _decode_by_peer(self, times: list[float], max_pixels: int | None) -> _Read:
        """Let the other library decode the frames that are on screen at these times, and shrink its pictures."""
        deadline_s = time.monotonic() + self.budget_s
        with self._decoder():  # what PyAV does not open, the other library is not shown
            numbers = self.numbers(times)
        wanted = sorted(set(numbers))
        found: dict[int, Frame] = {}
        sizes: set[tuple[int, int]] = set()
        for number, rgb in zip(wanted, pictures(self.decoder, self.path, wanted, self.threads), strict=True):
            if time.monotonic() > deadline_s:
                raise VideoError("decode_timeout", f"{self.path}: the time budget is used up")
            size_wh = (rgb.shape[1], rgb.shape[0])
            sizes.add(size_wh)
            found[number] = Frame(float(self.shown_s[number]), shrunk(rgb, fit_size(size_wh, max_pixels)))
        return _Read({t: found[n] for t, n in zip(times, numbers, strict=True)}, 0, frozenset(sizes))

    def _identity(self) -> _Identity:
        try:
            status = Path(self.path).stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return os.path.realpath(self.path), status.st_size, status.st_mtime_ns, self.decoder

    def _decoder(self) -> Decoder:
        deadline_s = time.monotonic() + self.budget_s
        return Decoder(self.path, deadline_s=deadline_s, threads=self.threads)


@dataclass(frozen=True)
class Clip:
    """A stretch of a video, in seconds from the video's start."""

    video: Video
    start_s: float
    end_s: float

    def frames(self, sampling: Sampling, max_pixels: int | None = None) -> Frames:
        """Frames at the preset's times; their `time_s` stay relative to the video, not to the clip."""
        return self.video.frames(sampling.times(self.start_s, self.end_s), max_pixels=max_pixels)


def _probe(decoder: Decoder) -> VideoInfo:
    """Read the head and the first frame, which knows best what the stream holds."""
    first = next((frame for _, frame in decoder.frames_at([decoder.file.start])), None)
    if first is None:
        raise _nothing(decoder)
    orientation = orientation_of(first)
    matrix, value_range, transfer = color_of(first, decoder.file.stream)
    return VideoInfo(
        duration_s=decoder.file.duration_s(),
        size_wh=orientation.size((first.width, first.height)),
        sar=decoder.file.sar,
        fps=decoder.file.fps,
        codec=decoder.file.codec,
        pixel_format=first.format.name,
        bit_depth=max(component.bits for component in first.format.components),
        rotation_deg=orientation.quarter_turns * 90,
        mirrored=orientation.mirrored,
        hdr=transfer in HDR_TRANSFERS,
        color_matrix=matrix,
        color_range=value_range,
        color_transfer=transfer,
    )


def _rgb(path: str, picture: VideoFrame, size_wh: tuple[int, int], turn: Orientation) -> np.ndarray:
    import av

    try:
        return to_rgb(picture, size_wh, turn)
    except (av.error.FFmpegError, ValueError) as error:
        cause = f"pictures in {picture.format.name} cannot be converted ({error})"
        raise VideoError("unsupported", f"{path}: {cause}") from error


def _nothing(decoder: Decoder) -> VideoError:
    path, errors = decoder.file.path, decoder.packet_errors
    if errors:
        return VideoError("too_corrupt", f"{path}: no frame can be decoded, {errors} packets are damaged")
    return VideoError("no_frames", f"{path}: its video stream holds no frame")


def _unreadable(path: str, error: OSError) -> VideoError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return VideoError("missing", f"{path}: no such file")
    return VideoError("unreadable", f"{path}: {error.strerror or error}")
