"""videozoomer: VideoZoomer's SFT rows (arXiv 2512.22315): `<video_zoom>` calls, frames as picture files, no video.

Read as its own code writes them (repository zsgvivo/VideoZoomer): `messages` with `<image>`, `images`; a frame stands
after `<frame3_time12.00s>`; what a call showed is a user turn.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.instructions import LAST_LOOK
from seekerdata.observation import Observation, stamped
from seekerdata.recorded import ImportFormat, Media, Message, Recorded, asked, ended, messages
from seekerdata.rollout import Reply
from seekerdata.tools import VIDEO, refusal
from seekerdata.trajectory import Text, ToolCall

__all__ = ["Videozoomer"]

_LABEL = re.compile(r"<frame\d+_time(\d+(?:\.\d+)?)s>\s*\Z")
_CALL = re.compile(r"<video_zoom>(.*?)(?:</video_zoom>|\Z)", flags=re.DOTALL)
_ERROR = re.compile(
    r"(?:Error Information:|<tool_response>\s*Error:)\s*(.*?)\s*(?:</?tool_response>|Please analyze|\Z)", re.S
)
_LAST = "Do not call <video_zoom>"
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_EXAMPLES = "Now answer the following question:"
_CORRECTS = re.compile(r"\s*<think>\s*The previous tool call was ")
"""How a thought begins that mends the call before it (the set's second stage, its reflection)."""
FPS_LOST = "the frame rate of a <video_zoom>: crop_video has one of its own"


class Videozoomer(ImportFormat):
    """VideoZoomer's SFT rows; a `<video_zoom>` becomes a `crop_video`, frames are those that were published."""

    origin: str = "VideoZoomer"

    def read(self, raw: Mapping[str, Any], media: Media) -> Recorded:
        """See `ImportFormat.read`. Raises ItemError also for `no_answer`, `no_frames`."""
        first, *rest = messages(raw)
        opening, words = _frames(first, media)
        if not opening.pictures:
            raise ItemError("no_frames", "no frame stands before the question")
        question, options = asked(words.rpartition(_EXAMPLES)[2])
        said, shown = rest[::2], rest[1::2]
        replies = [_reply(message.text, number) for number, message in enumerate(said, start=1)]
        return Recorded(
            id=str(raw.get("id") or ""),
            question=question,
            options=options,
            replies=ended(_without_mended(replies)),
            opening=opening,
            looks=tuple(_look(message, media) for message in shown),
            files=media.files,
            lost=(FPS_LOST,) * (len(replies) > 1),
        )


def _reply(text: str, number: int) -> Reply:
    """A turn; `\\boxed{}` around an answer is taken off. Raises ItemError: bad_turns, two calls in one."""
    thought, end, rest = text.rpartition("</think>")
    text = thought + end + _BOXED.sub(r"\1", rest)
    bodies = _CALL.findall(text)
    if len(bodies) > 1:
        raise ItemError("bad_turns", f"{len(bodies)} calls in a turn, of which the set carries out one")
    if not bodies:
        return Reply(text.strip())
    return Reply(_CALL.sub("", text).strip(), (_crop(bodies[0], f"call_{number}"),))


def _crop(body: str, id: str) -> ToolCall:
    try:
        start_s, end_s = json.loads(body)["segment"]
        times = {"start_time": float(start_s), "end_time": float(end_s)}
        if not all(map(math.isfinite, times.values())):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        return ToolCall(id=id, name="crop_video", error="the tool call is not valid JSON with a segment of seconds")
    return ToolCall(id=id, name="crop_video", arguments={"video_path": VIDEO, **times})


def _without_mended(replies: Sequence[Reply]) -> list[Reply]:
    """The replies; one whose call the next thought calls wrong is not to be imitated."""
    mended = [bool(_CORRECTS.match(following.text)) for following in replies[1:]] + [False]
    return [replace(reply, loss=not wrong) for reply, wrong in zip(replies, mended, strict=True)]


def _look(message: Message, media: Media) -> Observation:
    """What a call showed: stamped frames, or its error in our words; and whether it was the last."""
    seen, words = _frames(message, media)
    if not seen.pictures:
        fault = _ERROR.search(words)
        seen = refusal(" ".join(fault[1].rstrip(". ").split()) if fault and fault[1] else "the clip has no frames")
    return replace(seen, blocks=seen.blocks + (Text(text=LAST_LOOK),) * (_LAST in words))


def _frames(message: Message, media: Media) -> tuple[Observation, str]:
    """The frames of a message with their times, and its words without them."""
    shots: list[tuple[PIL.Image.Image, float | None]] = []
    words: list[str] = []
    for piece in message.pieces:
        if piece.kind == "text":
            words.append(piece.value)
        elif piece.kind == "image":
            label = _LABEL.search(words[-1]) if words else None
            if label:
                words[-1] = words[-1][: label.start()]
            shots.append((media.picture(piece.value), float(label[1]) if label else None))
        else:
            raise ItemError("bad_block", "a video stands in a turn; VideoZoomer's rows have pictures")
    return stamped(VIDEO, shots, None), "".join(words)
