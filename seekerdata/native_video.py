"""NativeVideo: a video file for a model that watches videos itself. Its bytes leave, but no name and no path.

inspect_ai uploads it and remembers by its content what Google still keeps; here it is uploaded before it is asked
about: once, though many threads ask, and without holding up the loop that waits for replies.
"""

import asyncio
import base64
import time
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from seekerdata.errors import ItemError, SeekerError
from seekerdata.model_loop import waiting
from seekerdata.models import ModelSettings, connect, failure_of, said_of
from seekerdata.patience import FIRST_S, LONGEST_S
from seekerdata.run_log import log

if TYPE_CHECKING:
    from inspect_ai.model import ContentVideo

MAX_BYTES = 2 * 10**9
"""The largest file that Gemini takes."""

_KINDS = (
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyp", "video/mp4"),
    *((4, atom, "video/quicktime") for atom in (b"moov", b"mdat", b"wide", b"free", b"skip")),
    (8, b"AVI ", "video/avi"),
    (0, b"FLV", "video/x-flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/wmv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
)
"""Where a file says what it is, and Gemini's name for that."""
_EBML = b"\x1a\x45\xdf\xa3"
"""Begins WebM, which Gemini reads, and Matroska, which it does not."""

_uploading: dict[tuple[str | None, str], Lock] = {}
"""One upload of a file to a server at a time."""


def upload(settings: ModelSettings, path: str) -> "ContentVideo":
    """A video file as content that the model can watch, uploaded and ready.

    Raises:
        SeekerError: a wrong key or a missing package.
        ItemError: `unsupported_video` if the model reads no such file; `model_failed` if it cannot be uploaded.
    """
    connect(settings)
    content, attempt = as_content(path), 0
    with waiting(), _uploading.setdefault((settings.base_url, path), Lock()):
        while failure := _failed(settings, content):
            if isinstance(failure, SeekerError) or not failure.retryable or attempt == settings.retries:
                raise failure
            pause_s = min(LONGEST_S, FIRST_S * 2**attempt)
            attempt += 1
            log(f"upload {attempt} failed, again in {pause_s:.1f} s: {failure}")
            time.sleep(pause_s)
    return content


def as_content(path: str) -> "ContentVideo":
    """A video file's bytes and kind, read into memory (and a third more).

    Raises:
        ItemError: `unsupported_video`, `unreadable`.
    """
    from inspect_ai.model import ContentVideo

    try:
        stat = Path(path).stat()
        kind = kind_of(path)
        if stat.st_size > MAX_BYTES:
            raise ItemError("unsupported_video", f"{path}: {stat.st_size:,} bytes; Gemini takes {MAX_BYTES:,}")
        uri = _data_uri(path, kind, stat.st_mtime_ns)
    except OSError as error:
        raise ItemError("unreadable", f"{path}: {error.strerror}") from None
    return ContentVideo(video=uri, format="mp4")  # what counts is the kind that the URI names


def kind_of(path: str) -> str:
    """The MIME type of a video file by its first bytes, whatever its name.

    Raises:
        ItemError: `unsupported_video` if Gemini does not read it.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    kind = next((kind for at, magic, kind in _KINDS if head[at:].startswith(magic)), "")
    if head.startswith(_EBML) and b"webm" in head:
        kind = "video/webm"
    if not kind:
        reads = "mp4, mov, webm, avi, flv, mpg, wmv and 3gp"
        raise ItemError("unsupported_video", f"{path}: Gemini reads {reads}; convert it, or say show: frames")
    return kind


def _failed(settings: ModelSettings, content: "ContentVideo") -> SeekerError | ItemError | None:
    """What went wrong with one attempt to upload; None if Google has the file and has read it."""
    try:
        asyncio.run(asyncio.wait_for(_uploaded(settings, content), settings.timeout_s))
    except SeekerError as error:
        return error
    except Exception as error:  # as around a model call: any error of a provider, which may quote a key
        if "file upload failed" in str(error):
            return ItemError("unsupported_video", f"{settings.model}: {said_of(error)}")
        return failure_of(settings, error)
    return None


async def _uploaded(settings: ModelSettings, content: "ContentVideo") -> None:
    """Upload as inspect_ai itself would when it is asked about the video, so that it then finds the upload."""
    try:
        from google.genai.types import HttpOptions
        from inspect_ai.model._providers.google import file_for_content
    except ImportError as error:
        raise SeekerError(f"{settings.model} cannot be shown a video ({error}); say show: frames") from None
    api: Any = connect(settings).api
    await api._ensure_oauth_token()
    options = HttpOptions(base_url=api.base_url, api_version=api.api_version, timeout=settings.timeout_s * 1000)
    client = api.model_client(options)
    async with client.aio:
        await file_for_content(client, content)


@lru_cache(maxsize=4)
def _data_uri(path: str, kind: str, mtime_ns: int) -> str:
    """A file as a data URI; questions about one video stand together, so the last few are kept."""
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
