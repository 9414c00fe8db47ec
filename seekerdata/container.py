"""Container: the video packets of one open file, and where they can be jumped to.

Times are ticks of the stream's time base; seconds count from the video's start.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from seekerdata.media_file import VideoError, open_container, video_stream

if TYPE_CHECKING:
    from av.packet import Packet

TIME_SLACK_S = Fraction(1, 10**6)
"""A time this close before a frame is that frame: floating point noise never shows the frame before it."""
CLOCK_JUMP_S = 1
"""Times that fall back further than this are a clock that was reset (joined transport streams)."""
_UNINDEXED = ("mpegts", "mpeg")
_MAX_READ_ERRORS = 16


class Container:
    """One open file and its video stream; a context manager.

    Attributes:
        stream: PyAV's video stream; another object after `restart`.
        tick_s: seconds per tick, exact.
        start: tick of the video's start, the zero of all times in seconds.
        step: ticks from one frame to the next at the nominal rate.
        size_wh: picture size in pixels as stated at the start, not yet turned upright.
        fps: average frames per second, 0.0 if not stated.
        sar: sample aspect ratio, 1.0 if not stated.
        codec: FFmpeg's name of the format, such as h264, hevc, av1.
        timeless: presentation times are not stored (raw streams; B-frames in AVI); frames count in the order shown.
        jumps: seeking is exact; not so where times are not stored, or only now and then (MPEG program streams).
        packet_errors: packets that could not be read.
    """

    def __init__(self, path: str, *, deadline_s: float = math.inf, threads: int = 1) -> None:
        self.path, self._deadline_s, self._threads = path, deadline_s, threads
        self.packet_errors = 0
        self._open()
        context = self.stream.codec_context
        raw = self.stream.start_time is None
        self.codec = context.codec.canonical_name
        self.size_wh = (context.width, context.height)
        self.timeless = raw or (self._format == "avi" and bool(context.has_b_frames))
        self.jumps = not self.timeless and self._format != "mpeg"
        self.tick_s = _exact(self.stream.time_base) or Fraction(1, 90_000)
        average, guessed = _exact(self.stream.average_rate), _exact(self.stream.guessed_rate)
        self.step = max(1, round(1 / ((guessed or average or 25) * self.tick_s)))
        self.start = 0 if self.timeless else self.stream.start_time or 0
        by_guess = raw or self._format == "avi"  # where the average comes from the time base
        self.fps = float((guessed or average if by_guess else average or guessed) or 0)
        self.sar = float(_exact(self.stream.sample_aspect_ratio) or 1)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *exc: object) -> None:
        self._container.close()

    def seconds(self, tick: int) -> float:
        """Seconds from the video's start."""
        return float((tick - self.start) * self.tick_s)

    def tick_at(self, time_s: float) -> int:
        """The last tick at or before a time in seconds."""
        return self.start + math.floor((Fraction(time_s) + TIME_SLACK_S) / self.tick_s)

    def ticks(self, seconds: int) -> int:
        """A span of whole seconds in ticks."""
        return math.ceil(seconds / self.tick_s)

    def restart(self) -> None:
        """Go back to the first packet. Opening again works where seeking does not."""
        self._container.close()
        self._open()

    def seek(self, tick: int) -> bool:
        """Go to a packet at or before a tick, if the format can; the decoder forgets what it holds."""
        import av

        try:
            self._container.seek(tick, stream=self.stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def indexed_key(self, tick: int) -> int | None:
        """Index time of the last key frame at or before a tick; None if the index holds none.

        An index may hold decode times, which come a little before those of presentation.
        """
        if not len(self._index):
            return None
        found = self._index.search_timestamp(tick, backward=True)
        return self._index[found].timestamp if found >= 0 else None

    def index_end(self) -> int | None:
        """Time of the last index entry so far; some formats fill the index as they are read."""
        return self._index[-1].timestamp if len(self._index) else None

    def packets(self) -> Iterator[Packet[Any]]:
        """Packets of the stream from here on, an empty one last; read errors are counted and passed over.

        Raises:
            VideoError: `decode_timeout` when the deadline has passed.
        """
        import av

        errors = 0
        while errors < _MAX_READ_ERRORS:
            try:
                for packet in self._container.demux(self.stream):
                    if time.monotonic() > self._deadline_s:
                        raise VideoError("decode_timeout", f"{self.path}: the time budget is used up")
                    yield packet
                return
            except av.error.ExitError as error:
                raise VideoError("decode_timeout", f"{self.path}: a read did not return") from error
            except av.error.FFmpegError:
                errors += 1
                self.packet_errors += 1

    def duration_s(self) -> float:
        """Seconds as the stream states them, else the container, else as its packets add up (one pass)."""
        if self._format not in _UNINDEXED:
            if self.stream.duration:
                return float(self.stream.duration * self.tick_s)
            if self._container.duration:
                return self._container.duration / 1e6
        return self._scanned[0]

    def shown_s(self) -> np.ndarray:
        """When its pictures come on screen, in seconds from the video's start, ascending, as its packets say (one
        pass). A picture that cannot be decoded counts, too; one that an edit list cuts off does not.

        Raises:
            VideoError: `no_frames`.
        """
        if not self._scanned[2]:
            raise VideoError("no_frames", f"{self.path}: its video stream holds no packet")
        ticks = np.sort(np.array(self._scanned[2], np.int64))
        return (ticks - self.start) * self.tick_s.numerator / self.tick_s.denominator

    def clock_is_reset(self) -> bool:
        """True for joined transport streams, where one time names several places: only reading on is exact there.

        Costs one pass over the packets of such formats; the position is kept.
        """
        return self._format in _UNINDEXED and self._scanned[1]

    @functools.cached_property
    def _scanned(self) -> tuple[float, bool, list[int]]:
        """Duration in seconds, whether times fall back on the way, ticks of all pictures, from every packet."""
        end = last = self.start
        ticks: list[int] = []
        shift, is_reset = 0, False
        with Container(self.path, deadline_s=self._deadline_s) as file:
            for count, packet in enumerate(packet for packet in file.packets() if packet.size):
                tick = count * self.step if self.timeless else packet.dts
                if tick is None and packet.pts is None:
                    continue
                if tick is not None:  # some files do not say it of their first packets
                    if last - tick - shift > self.ticks(CLOCK_JUMP_S):
                        shift, is_reset = last + self.step - tick, True
                    last = tick + shift
                shown = last if self.timeless or packet.pts is None else packet.pts + shift
                end = max(end, shown + (packet.duration or self.step))
                if not packet.is_discard:
                    ticks.append(shown)
        return self.seconds(end), is_reset, ticks

    def _open(self) -> None:
        self._container = open_container(self.path)
        try:
            self.stream = video_stream(self._container, self.path)
        except VideoError:
            self._container.close()
            raise
        context = self.stream.codec_context
        context.thread_count = self._threads
        context.thread_type = "AUTO" if self._threads > 1 else "SLICE"
        self._format = self._container.format.name
        # Transport streams list what was read so far, under times that may name several places.
        listed = self._format not in _UNINDEXED
        self._index: Any = getattr(self.stream, "index_entries", ()) if listed else ()  # av >= 17


def _exact(rational: Any) -> Fraction | None:
    """PyAV's rational (a Fraction, from av 19 on its own type) as a Fraction; None if it is unset."""
    return Fraction(rational.numerator, rational.denominator) if rational else None
