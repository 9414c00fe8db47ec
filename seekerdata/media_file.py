"""Media file: a local file opened safely, or one typed error that names the file and the cause.

Only formats that hold the media themselves are opened, so that no file can name another file or a host.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.errors import ItemError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 64 * 2**20
"""A larger picture is refused as a decompression bomb (8K is 33 million)."""
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

    def __init__(self, code: str, message: str, retryable: bool = False) -> None:
        one_line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in message)
        super().__init__(code, one_line, retryable)


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
    major = int(av.__version__.split(".")[0])
    # av 16 crashes where decoder settings meet a stream found late (FLV): it takes those of the container only.
    keywords: dict[str, Any] = {"options" if major >= 17 else "container_options": options}
    if major < 19:  # where it is the rule
        keywords["metadata_errors"] = "replace"
    try:  # "file:" keeps a name such as concat:a from being read as a protocol
        return av.open("file:" + path, mode="r", timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S), **keywords)
    except av.error.ExitError as error:
        cause = f"not opened within {_OPEN_TIMEOUT_S:g} s"
        raise VideoError("decode_timeout", f"{path}: {cause}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError("unreadable", f"{path}: {_why(path, error)}") from error


def video_stream(container: InputContainer, path: str) -> VideoStream:
    """The first video stream that is not a cover picture; the other streams are no longer read.

    Raises:
        VideoError: `no_video_stream`, or `unsupported` if no decoder knows it or its pictures are too large.
    """
    import av.video.stream

    chosen: VideoStream | None = None
    for stream in container.streams:
        if chosen is None and isinstance(stream, av.video.stream.VideoStream) and not _is_picture(stream):
            chosen = stream
        elif hasattr(stream, "discard"):  # av >= 17
            stream.discard = av.stream.Discard.all
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


def _is_picture(stream: Stream) -> bool:
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
    if getattr(error, "errno", None) == errno.EINVAL:
        return "not in a video format that is read here"
    return f"not a video that can be opened ({getattr(error, 'strerror', None) or error})"
