"""Container: a local media file opened safely and its video packets, or one typed error naming file and cause.

Only formats that hold the media themselves are opened, so that no file can name another file or a host. Times are
ticks of the stream's time base.
"""

from __future__ import annotations

import functools
import math
import stat
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.errors import ItemError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 64 * 2**20
"""A larger picture is refused as a decompression bomb (8K is 33 million)."""
_TIME_SLACK_S = Fraction(1, 10**6)
"""A time this close before a frame is that frame: floating point noise never shows the frame before it."""
CLOCK_JUMP_S = 1
"""Times that fall back further than this are a clock that was reset (joined transport streams)."""
_UNINDEXED = ("mpegts", "mpeg")
_MAX_READ_ERRORS = 16
_OPEN_TIMEOUT_S, _READ_TIMEOUT_S = 10.0, 30.0
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,apng,h264,hevc,vvc,av1,obu,ivf,m4v,h263,mxf,"
    "nut,rm,wtv,dv,yuv4mpegpipe,mp3,wav,flac,aac,amr,aiff"
)
_HEADS = (
    ((b"<!doctype html", b"<html"), "an HTML page, not a video (a failed download?)"),
    ((b"\x89png", b"\xff\xd8\xff"), "a still image, not a video"),
    ((b"#extm3u",), "a playlist, not a video"),
)


class VideoError(ItemError):
    """A video that cannot be read. Its text is one line: the file as it was named, and the cause.

    `code` is one of: missing, unreadable, no_video_stream, no_frames, decode_timeout, too_corrupt, unsupported.
    """


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
        return self.start + math.floor((Fraction(time_s) + _TIME_SLACK_S) / self.tick_s)

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

    def clock_is_reset(self) -> bool:
        """True for joined transport streams, where one time names several places: only reading on is exact there.

        Costs one pass over the packets of such formats; the position is kept.
        """
        return self._format in _UNINDEXED and self._scanned[1]

    @functools.cached_property
    def _scanned(self) -> tuple[float, bool]:
        """Duration in seconds, and whether times fall back on the way, from every packet."""
        end = last = self.start
        shift, is_reset = 0, False
        with Container(self.path, deadline_s=self._deadline_s) as file:
            for count, packet in enumerate(packet for packet in file.packets() if packet.size):
                tick = count * self.step if self.timeless else packet.dts
                if tick is None:
                    continue
                if last - tick - shift > self.ticks(CLOCK_JUMP_S):
                    shift, is_reset = last + self.step - tick, True
                last = tick + shift
                shown = last if self.timeless or packet.pts is None else packet.pts + shift
                end = max(end, shown + (packet.duration or self.step))
        return self.seconds(end), is_reset

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
        self._index = getattr(self.stream, "index_entries", ())  # av >= 17


def open_container(path: str) -> InputContainer:
    """Open a local media file for reading; the caller closes it.

    Raises:
        VideoError: `missing`, `unreadable`, or `decode_timeout` if opening takes more than 10 s.
    """
    import av
    import av.logging

    _check_file(path)
    av.logging.set_level(av.logging.PANIC)
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_FRAME_PIXELS),
    }
    broken_text: dict[str, Any] = {"metadata_errors": "replace"}
    if int(av.__version__.split(".")[0]) >= 19:  # where it is the rule
        broken_text = {}
    try:
        return av.open(  # "file:" keeps a name such as concat:a from being read as a protocol
            "file:" + path,
            mode="r",
            options=options,
            timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S),
            **broken_text,
        )
    except av.error.ExitError as error:
        cause = f"not opened within {_OPEN_TIMEOUT_S:g} s"
        raise VideoError("decode_timeout", f"{path}: {cause}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", f"{path}: {_why(path, error)}") from error


def _exact(rational: Any) -> Fraction | None:
    """PyAV's rational (a Fraction, from av 19 on its own type) as a Fraction; None if it is unset."""
    return Fraction(rational.numerator, rational.denominator) if rational else None


def video_stream(container: InputContainer, path: str) -> VideoStream:
    """The first video stream that is not a cover picture; the other streams are no longer read.

    Raises:
        VideoError: `no_video_stream`, or `unsupported` if no decoder knows it or its pictures are too large.
    """
    chosen = None
    for stream in container.streams:
        if chosen is None and stream.type == "video" and not _is_picture(stream):
            chosen = stream
        elif hasattr(stream, "discard"):  # av >= 17
            stream.discard = 48  # AVDISCARD_ALL
    if chosen is None:
        cover = any(stream.type == "video" for stream in container.streams)
        cause = "only a cover picture, no video stream" if cover else "no video stream"
        raise VideoError("no_video_stream", f"{path}: {cause}")
    context = chosen.codec_context
    if context is None:
        raise VideoError("unsupported", f"{path}: no decoder for its video codec")
    if context.width * context.height > MAX_FRAME_PIXELS:
        size = f"{context.width}x{context.height}"
        raise VideoError("unsupported", f"{path}: {size} is over {MAX_FRAME_PIXELS} pixels a frame")
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # the size may grow inside the stream
    return chosen


def _is_picture(stream: VideoStream) -> bool:
    disposition = stream.disposition
    return bool(disposition & type(disposition).attached_pic)


def _check_file(path: str) -> None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        cause = "no such file" if missing else getattr(error, "strerror", None) or str(error)
        raise VideoError("missing" if missing else "unreadable", f"{path}: {cause}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise VideoError("unreadable", f"{path}: {kind}, not a video")
    if status.st_size == 0:
        raise VideoError("unreadable", f"{path}: the file is empty")


def _why(path: str, error: Exception) -> str:
    """Say what the file is instead of a video, where its first bytes tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(256).lstrip().lower()
    except OSError as unread:
        return unread.strerror or "cannot be read"
    for starts, cause in _HEADS:
        if head.startswith(starts):
            return cause
    return f"not a video that can be opened ({getattr(error, 'strerror', None) or error})"
