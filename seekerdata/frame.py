"""Frame: one picture and its true time; Frames: what one read gave; FrameCache: frames shared by several readers.

Pixels never change once delivered: arrays are read-only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Key = TypeVar("Key", bound=Hashable)


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
        self._decoding: dict[Hashable, Event] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._frames)

    def __reduce__(self) -> tuple:
        return FrameCache, (self.max_bytes,)

    def share(self, keys: Iterable[Key], decode: Callable[[list[Key]], Mapping[Key, Frame]]) -> dict[Key, Frame]:
        """The frames of these keys. No frame is decoded by two threads at once, and other frames wait for none.

        Args:
            keys: of the frames.
            decode: gives the frames of the keys that it is called with. What it raises is passed on; whoever waited
                for those frames then decodes them for itself.
        """
        found: dict[Key, Frame] = {}
        left, mine_done = list(dict.fromkeys(keys)), Event()
        while left:
            mine, others = self._claim(left, found, mine_done)
            try:
                made = decode(mine) if mine else {}
                for key, frame in made.items():
                    self.put(key, frame)
                found |= made
            finally:
                self._release(mine, mine_done)
            for other in others:
                other.wait()
            left, mine_done = [key for key in left if key not in found], Event()
        return found

    def _claim(self, keys: list[Key], found: dict[Key, Frame], done: Event) -> tuple[list[Key], set[Event]]:
        """Add what is here to `found`; the keys that the caller must decode, and what others have under way."""
        mine, others = list[Key](), set[Event]()
        with self._lock:
            for key in keys:
                if (frame := self._get(key)) is not None:
                    found[key] = frame
                elif key in self._decoding:
                    others.add(self._decoding[key])
                else:
                    self._decoding[key] = done
                    self.misses += 1
                    mine.append(key)
        return mine, others

    def _release(self, keys: Iterable[Hashable], done: Event) -> None:
        with self._lock:
            for key in keys:
                del self._decoding[key]
        done.set()

    def get(self, key: Hashable) -> Frame | None:
        """The frame of this key, or None."""
        with self._lock:
            frame = self._get(key)
            self.misses += frame is None
            return frame

    def _get(self, key: Hashable) -> Frame | None:
        frame = self._frames.get(key)
        if frame is not None:
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
