"""longvt: LongVT's SFT and RFT rows (arXiv 2511.20785): `crop_video` in Hermes form, the video by its path.

Read as its pipeline writes them (repository EvolvingLMMs-Lab/LongVT) and its Parquet files hold them: `messages` with
blocks; what a call showed is a user turn without times, so that every look is taken anew from the video.
"""

import re
from collections.abc import Mapping
from typing import Any

from seekerdata.dialect import read_calls
from seekerdata.errors import ItemError
from seekerdata.recorded import ImportFormat, Media, Message, Recorded, asked, ended, messages
from seekerdata.rollout import Reply
from seekerdata.tools import VIDEO
from seekerdata.trajectory import ToolCall

__all__ = ["Longvt"]

_AFTER_QUESTION = re.compile(r"\s*(?:Think first, call \**crop_video|The video path for this video)", re.IGNORECASE)
_PATH = re.compile(r"The video path for this video is:?\s*(\S+?)[.,;'\"]*(?:\s|\Z)", re.IGNORECASE)
_MEDIA = re.compile(r"<video>\s*")


class Longvt(ImportFormat):
    """LongVT's SFT and RFT rows; every crop is taken again from the video by our own tools."""

    origin: str = "LongVT"

    def read(self, raw: Mapping[str, Any], media: Media) -> Recorded:
        """See `ImportFormat.read`. Raises ItemError also for `no_video`, `other_tool`."""
        first, *rest = messages(raw)
        words = first.text
        question, options = asked(_MEDIA.sub("", _AFTER_QUESTION.split(words)[0]))
        replies, calls = list[Reply](), 0
        for message in rest[::2]:
            replies.append(_reply(message.text, calls))
            calls += len(replies[-1].tool_calls)
        return Recorded(
            id=str(raw.get("id") or ""),
            question=question,
            options=options,
            replies=ended(replies),
            video=str(media.find(_video(first, words)).relative_to(media.folder)),
        )


def _video(first: Message, words: str) -> str:
    """The place of the video: of its block, else as the text names it."""
    places = first.places("video") + _PATH.findall(words)
    if first.places("image") or not places or not isinstance(places[0], str):
        raise ItemError("no_video", "asks about pictures, or names no video")
    return places[0]


def _reply(text: str, calls: int) -> Reply:
    """A turn with its calls; the video goes by its opaque name."""
    outside, found = read_calls(text, first_id=calls + 1)
    return Reply(outside, tuple(_named(call) for call in found))


def _named(call: ToolCall) -> ToolCall:
    if call.name and call.name != "crop_video":
        raise ItemError("other_tool", f"calls {call.name[:60]}; there is crop_video")
    if call.error:
        return call
    return call.model_copy(update={"arguments": {**call.arguments, "video_path": VIDEO}})
