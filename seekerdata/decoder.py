"""Decoder: pictures of one video file by ascending time. The picture on screen at t is the same whatever was read
before it. Times are ticks of the stream's time base (see container.py).
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from seekerdata.container import CLOCK_JUMP_S, Container

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

_BLIND_SEEK_S = 5
"""Where the container has no index, a shorter way is decoded rather than jumped: few key frames are passed."""
_B_PICTURE = 3
_NEVER, _FOREVER = -(2**62), 2**62


class _Damage:
    """Which pictures are spoilt: from a damaged one on until the next key frame, as prediction carries damage along.

    FFmpeg itself flags the one picture in which it noticed something.
    """

    def __init__(self) -> None:
        self._keys: deque[int] = deque(maxlen=8)  # pictures come out a few packets after they went in, not more
        self._spans: deque[tuple[int, int]] = deque(maxlen=8)

    def pass_key(self, tick: int) -> None:
        """A key frame, shown at this tick, goes into the decoder."""
        self._keys.append(tick)
        for k, (start, end) in enumerate(self._spans):
            self._spans[k] = (start, tick if end == _FOREVER else end)

    def hit(self, tick: int) -> None:
        """The picture shown at this tick is damaged."""
        if not self.covers(tick):
            self._spans.append((tick, min((key for key in self._keys if key > tick), default=_FOREVER)))

    def covers(self, tick: int) -> bool:
        return any(start <= tick < end for start, end in self._spans)


class Decoder:
    """Reads pictures forward, jumping to a key frame only when that saves decoding; a context manager.

    Attributes:
        file: the open container.
        ended: the last frame has been reached.
    """

    _decoded: Generator[VideoFrame]
    _shown: VideoFrame | None
    _ahead: VideoFrame | None
    _passed: int | None

    def __init__(self, path: str, *, deadline_s: float = math.inf, threads: int = 1) -> None:
        self.file = Container(path, deadline_s=deadline_s, threads=threads)
        self._refused: set[int | None] = set()
        self._lag = 0
        self._begin()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self._decoded.close()  # it holds this object: pictures would wait for the garbage collector
        self._shown = self._ahead = None
        self.file.__exit__(*exc)

    @property
    def packet_errors(self) -> int:
        """Packets that could not be read or that the decoder refused, so far."""
        return self.file.packet_errors + len(self._refused)

    def is_damaged(self, frame: VideoFrame) -> bool:
        """True for a delivered frame that is damaged or may show what a damaged one left behind."""
        return bool(frame.is_corrupt) or self._damage.covers(_tick_of(frame))

    def frames_at(self, targets: list[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (target, frame on screen at it) for ascending ticks; `frame.pts` is its true tick.

        Before the first frame the first is on screen, after the last the last. Yields nothing if nothing decodes.
        """
        for target, following in zip(targets, [*targets[1:], None], strict=True):
            self._target = target
            self._leave = self.file.jumps and (following is None or self._key_between(target, following))
            if not self.ended and (self._drained or self._seek_pays()):
                self._seek()
            frame = self._advance() or self._from_start(from_key=True) or self._from_start(from_key=False)
            if frame is None:
                return
            yield target, frame

    def _from_start(self, *, from_key: bool) -> VideoFrame | None:
        """Read on from the first packet: the slow way, for streams whose marks cannot be relied on."""
        self._leave = False
        self.file.restart()
        self._begin(from_key=from_key)
        return self._advance()

    def _begin(self, *, from_key: bool = True, sought: bool = False) -> None:
        """Forget what was decoded; go on from where the file stands."""
        self._from_key, self._sought = from_key, sought
        self.ended = self._drained = self._dropping = False
        self._shown = self._ahead = self._passed = None
        self._closest = self._last = _NEVER
        self._shift = 0
        self._damage = _Damage()
        context = self.file.stream.codec_context
        self._can_drop = not self.file.timeless and _drops_exactly(context)
        if self._can_drop:
            context.skip_frame = "DEFAULT"
        self._decoded = self._decode()

    def _advance(self) -> VideoFrame | None:
        """Decode until the frame on screen at the target is known."""
        while self._ahead is None or _tick_of(self._ahead) <= self._target:
            self._shown = self._ahead or self._shown
            self._ahead = next(self._decoded, None)
            if self._ahead is None:
                self.ended = not self._drained
                break
        return self._shown or self._ahead

    def _key_between(self, here: int, target: int) -> bool:
        """True if the index shows a key frame after `here` and at or before the target."""
        key = self.file.indexed_key(target - self._lag)
        return key is not None and key > here

    def _seek_pays(self) -> bool:
        """True if a key frame lies between here and the target, as far as the container tells."""
        if not self.file.jumps:
            return False
        here = self.file.start if self._passed is None else self._passed
        if self._key_between(here, self._target):
            return True
        known = self.file.index_end()
        here = here if known is None else max(here, known)
        far = self._target - here > self.file.ticks(_BLIND_SEEK_S)
        return far and not self.file.clock_is_reset()

    def _seek(self) -> None:
        """Go to a key frame shown at or before the target; step back until one decodes, at last to the start."""
        back = 0
        while self._target - back > self.file.start:
            if not self.file.seek(self._target - self._lag - back):
                break
            self._begin(sought=True)
            self._ahead = next(self._decoded, None)
            if self._ahead is not None and _tick_of(self._ahead) <= self._target:
                return
            back = max(back * 2, self.file.ticks(1))
        self.file.restart()
        self._begin()

    def _decode(self) -> Generator[VideoFrame]:
        """Frames in the order shown, from the next key frame on.

        Frames shown before that key frame lean on pictures that were not read (open GOP) and are left out; after a
        seek, a key frame that is shown too late ends the attempt before anything is decoded.
        """
        floor: int | None = None
        clock: list[int] = []
        for count, packet in enumerate(self.file.packets()):
            if self._from_key and floor is None and packet.size:
                if not packet.is_keyframe:
                    continue
                floor = self._enter(packet)
                if self._sought and floor > self._target:
                    return
            if self._leave and self._closest != _NEVER and packet.dts is not None:
                self._drained = packet.dts > self._target  # all that is shown by then has been fed
            self._follow(packet)
            if packet.size and packet.is_keyframe:
                self._damage.pass_key(self._shown_at(packet))
            if self.file.timeless and packet.size:
                heapq.heappush(clock, count * self.file.step if packet.dts is None else packet.dts)
            for frame in self._pictures(None if self._drained else packet):
                frame.pts = self._time(frame, clock)
                if frame.is_corrupt and frame.pict_type != _B_PICTURE:
                    self._damage.hit(frame.pts)
                if self.file.timeless or floor is None or frame.pts >= floor:
                    yield frame
            if self._drained:
                return

    def _pictures(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """What the decoder gives out for a packet, or at its end; a packet that it refuses is counted."""
        import av

        try:
            return self.file.stream.decode(packet)
        except av.error.FFmpegError:
            if packet is not None and packet.size:
                self._refused.add(packet.dts)
                self._damage.hit(self._shown_at(packet))
            return []

    def _shown_at(self, packet: Packet[Any]) -> int:
        """The tick at which a packet's picture is shown, as far as the packet tells."""
        tick = packet.pts if packet.pts is not None else packet.dts
        return self.file.start if tick is None else tick + self._shift

    def _enter(self, key: Packet[Any]) -> int:
        """Take note of the key frame that decoding starts from; return its tick."""
        tick = self._shown_at(key)
        indexed = self.file.indexed_key(tick)
        lag = 0 if indexed is None else tick - indexed
        self._lag = lag if lag < self.file.ticks(1) else 0
        self._passed = tick
        return tick

    def _follow(self, packet: Packet[Any]) -> None:
        """Keep the position, and let the decoder drop a picture that nobody needs.

        A picture before the one nearest to the target is not asked for; if no other picture refers to it either,
        leaving it out changes no pixel of those that are delivered.
        """
        if packet.dts is not None:
            self._passed = packet.dts if self._passed is None else max(self._passed, packet.dts)
        if packet.pts is None:
            return
        tick = self._shown_at(packet)
        if tick <= self._target:
            self._closest = max(self._closest, tick)
        drop = self._can_drop and 0 < self._closest - tick < self.file.ticks(CLOCK_JUMP_S)
        if drop != self._dropping:
            self._dropping = drop
            self.file.stream.codec_context.skip_frame = "NONREF" if drop else "DEFAULT"

    def _time(self, frame: VideoFrame, clock: list[int]) -> int:
        """When a frame is shown: as the stream says; numbered if it does not; never going back."""
        if self.file.timeless and clock:
            return heapq.heappop(clock)
        tick = frame.pts if frame.pts is not None else frame.dts
        if tick is None:
            tick = self.file.start if self._last == _NEVER else self._last + self.file.step
        tick += self._shift
        if self._last - tick > self.file.ticks(CLOCK_JUMP_S):
            self._shift += self._last + self.file.step - tick
            tick = self._last + self.file.step
        self._last = max(tick, self._last + 1)
        return self._last


def _tick_of(frame: VideoFrame) -> int:
    assert frame.pts is not None  # every frame that leaves `_decode` has one
    return frame.pts


def _drops_exactly(context: Any) -> bool:
    """True if this decoder's NONREF drops only pictures that no other picture refers to.

    H.264 says so for each picture (nal_ref_idc). HEVC says it within a temporal layer, so only single-layer streams
    qualify (numTemporalLayers of the hvcC record). Decoders of VP9 and AV1 do not take the setting on the way.
    """
    if context.codec.name == "hevc":
        record = context.extradata or b""
        return len(record) > 22 and record[0] == 1 and (record[21] >> 3) & 7 == 1
    return context.codec.name == "h264"
