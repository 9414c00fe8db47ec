"""Load: what one item is expected to cost a model, and the formulas behind it. Estimates, never bills.

A frame costs ceil(width/32) x ceil(height/32) tokens (Qwen3-VL; others differ) and its stamp; text costs one token for
four characters; a conversation is sent again with every call.
"""

import math
import re
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from seekerdata.pixels import fit_size

CHARS_PER_TOKEN = 4
PATCH = 32
STAMP = "<123.4 seconds>"
QUESTION_CHARS = 400
"""A question with its options."""
VERDICT_TOKENS = 60
"""A decision as JSON. Thoughts of a thinking model come on top."""
TURN_TOKENS = 300
"""One turn of a play: 900 for three, as the paper's model says at the start of its RL (910, Fig. 6)."""
LOOKS = 2
"""Looks of a play: the marked frame and one crop, as in the paper's first case study."""
SIZE_WH = (1280, 720)
"""The video that frames are taken to come from."""
WATCHED_S = 180.0
"""A video of unknown length that a model watches itself: the longest of LLaVA-Video-178K."""
SOUND_TOKENS, TIME_TOKENS = 32, 7
"""Of each second that Gemini watches, beside one frame of 258 tokens (70 from Gemini 3 on)."""

ASSUMPTIONS = (
    f"a frame: ceil(w/{PATCH}) x ceil(h/{PATCH}) tokens of a {SIZE_WH[0]}x{SIZE_WH[1]} video scaled to its limit, as "
    f"Qwen3-VL counts, and {len(STAMP)} characters of stamp",
    f"a second of a video that Gemini watches itself: one frame (258 tokens, from Gemini 3 on 70), {SOUND_TOKENS} for "
    f"sound, {TIME_TOKENS} for its time; {WATCHED_S:g} s where expected_video_s is not said",
    f"text: characters / {CHARS_PER_TOKEN}; a question with options: {QUESTION_CHARS} characters",
    f"a decision: one call, {VERDICT_TOKENS} output tokens, no repair",
    f"a play: {LOOKS} looks (the mark, one crop) and the answer, {TURN_TOKENS} output tokens a turn, thoughts of a "
    "thinking model not counted; all that was said and shown is sent again with every call",
)


PAPER_RETENTION = {"filter": 0.4455, "verify": 0.7387, "segment": 0.8478, "render": 0.9963, "solve": 0.8356}
"""Table 8 of the paper: 147,245 > 65,594 > 48,457 > 41,083 > 40,929 > 34.2k items."""

Retention = Annotated[
    dict[
        Literal["source", "filter", "verify", "segment", "render", "solve", "select"],
        Annotated[float, Field(ge=0, le=1)],
    ],
    BeforeValidator(lambda value: PAPER_RETENTION if value == "paper" else value),
]
"""Share of the items that each stage is expected to keep, all where it is not said; `paper` for the paper's."""


class Load(NamedTuple):
    """What one item costs one model."""

    calls: float = 0
    images: float = 0
    """Pictures sent; one that is sent again counts again."""
    input_tokens: float = 0
    output_tokens: float = 0

    def times(self, items: float) -> "Load":
        """The same for this many items, in whole numbers."""
        return Load(*(round(figure * items) for figure in self))

    def plus(self, other: "Load") -> "Load":
        """What both take."""
        return Load(*(a + b for a, b in zip(self, other, strict=True)))


def text_tokens(*texts: str, chars: int = 0) -> int:
    """Tokens of texts, and of so many characters more."""
    return math.ceil((sum(map(len, texts)) + chars) / CHARS_PER_TOKEN)


def frame_tokens(max_pixels: int | None) -> int:
    """Tokens of one stamped frame limited to so many pixels (None: the video's own size)."""
    width, height = fit_size(SIZE_WH, max_pixels)
    return math.ceil(width / PATCH) * math.ceil(height / PATCH) + text_tokens(STAMP)


def frame_count(fps: float, most: int, video_s: float | None, least: int = 1) -> int:
    """Frames of a video so long; all that the limit allows if that is not known."""
    return most if video_s is None else min(most, max(least, math.ceil(video_s * fps)))


def watched_load(prompt: str, model: str, video_s: float | None) -> Load:
    """One decision about a question's text after a video that the model is shown whole."""
    frame = 258 if re.search(r"gemini-[12]\b", model) else 70
    shown = math.ceil(WATCHED_S if video_s is None else video_s) * (frame + SOUND_TOKENS + TIME_TOKENS)
    return verdict_load(prompt)._replace(input_tokens=shown + verdict_load(prompt).input_tokens)


def verdict_load(prompt: str, frames: int = 0, max_pixels: int | None = None) -> Load:
    """One decision about a question's text, with so many frames before it."""
    shown = frames * frame_tokens(max_pixels) if frames else 0
    return Load(1, frames, shown + text_tokens(prompt, chars=QUESTION_CHARS), VERDICT_TOKENS)


def play_load(prompt: str) -> Load:
    """One decision about a play that is read as words, each turn once."""
    read = text_tokens(prompt, chars=QUESTION_CHARS) + (LOOKS + 1) * TURN_TOKENS
    return Load(1, 0, read, VERDICT_TOKENS)
