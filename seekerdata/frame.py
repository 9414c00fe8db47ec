"""Frame: one picture and its true time; Frames: what one read gave; FrameCache: frames shared by several readers.

Pixels never change once delivered: arrays are read-only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_LOCKS = 64


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and the time it comes on screen.

    Attributes:
        time_s: true presentation time, seconds from the video's start.
        rgb: uint8 (H, W, 3), upright, read-only.
        corrupt: the decoder flagged the picture as damaged, or it follows a damaged one before the next key frame.
    """

    time_s: float
    rgb: np.ndarray
    corrupt: bool = False

    @property
    def image(self) -> Image:
        """The picture as PIL RGB."""
        from PIL import Image

        return Image.fromarray(self.rgb)


@dataclass(frozen=True, eq=False)
class Frames(Sequence[Frame]):
    """The frames of one read, in the order asked for. Whether a damaged video is good enough is the caller's choice.

    Attributes:
        frames: one per time asked for; equal ones may be the same object.
        times_s: the times asked for, in seconds.
        packet_errors: packets that were damaged on the way; 0 for what came from a cache.
        sizes_wh: display sizes the delivered pictures had in the stream, before scaling. More than one means that the
            size changes inside the video; all are then brought to the size it starts with.
    """

    frames: list[Frame]
    times_s: list[float]
    packet_errors: int = 0
    sizes_wh: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    @property
    def requested(self) -> int:
        """How many times were asked for."""
        return len(self.times_s)

    @property
    def corrupt_frames(self) -> int:
        """Delivered frames that are damaged or may carry damage on."""
        return sum(frame.corrupt for frame in self.frames)

    @property
    def max_lag_s(self) -> float:
        """The longest time from a frame's start to the time it was given for, in seconds.

        About one frame in a whole video; more where pictures are missing or the file ends before it claims to.
        """
        lags = (asked - frame.time_s for asked, frame in zip(self.times_s, self.frames, strict=True))
        return max(0.0, *lags) if self.frames else 0.0

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        return self.frames[index]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


class FrameCache:
    """A thread-safe LRU of frames; keys are (video identity, time asked in seconds, max_pixels).

    A copy sent to another process starts empty.

    Args:
        max_bytes: bytes of pixels it may hold; a frame larger than this is not kept.
    """

    def __init__(self, max_bytes: int = 2**30) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative, got {max_bytes}")
        self.max_bytes = max_bytes
        self.hits = self.misses = self.held_bytes = 0
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._lock = Lock()
        self._decoding = [Lock() for _ in range(_LOCKS)]

    def __len__(self) -> int:
        return len(self._frames)

    def __reduce__(self) -> tuple:
        return FrameCache, (self.max_bytes,)

    def decoding(self, identity: Hashable) -> Lock:
        """The lock to hold while one video is looked up and decoded, so that nothing is decoded twice."""
        return self._decoding[hash(identity) % _LOCKS]

    def get(self, key: Hashable) -> Frame | None:
        """The frame of this key, or None."""
        with self._lock:
            frame = self._frames.get(key)
            if frame is None:
                self.misses += 1
            else:
                self.hits += 1
                self._frames.move_to_end(key)
            return frame

    def put(self, key: Hashable, frame: Frame) -> None:
        """Keep a frame, and drop the least recently used ones beyond `max_bytes`."""
        with self._lock:
            old = self._frames.pop(key, None)
            self.held_bytes -= old.rgb.nbytes if old is not None else 0
            if frame.rgb.nbytes > self.max_bytes:
                return
            self._frames[key] = frame
            self.held_bytes += frame.rgb.nbytes
            while self.held_bytes > self.max_bytes:
                _, dropped = self._frames.popitem(last=False)
                self.held_bytes -= dropped.rgb.nbytes
