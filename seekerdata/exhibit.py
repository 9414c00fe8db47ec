"""Exhibit: one item as a page shows it: what was said and shown, in order, and where on the video it lies.

Words and places only: nothing here touches a pixel, and nothing that a model wrote is changed.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.observation import stamp
from seekerdata.sample import Sample
from seekerdata.tools import VIDEO
from seekerdata.trajectory import Image, StopReason, ToolCall, Trajectory, Turn

LONGEST_STAMP = 40
NOT_PLAYED = "not played"
_SPOKEN = re.compile(r"<(think|answer)>(.*?)(?:</\1>|\Z)", flags=re.DOTALL | re.IGNORECASE)
_HEADLESS_THOUGHT = re.compile(r"(?:(?!<think>).)*</think>", flags=re.DOTALL | re.IGNORECASE)
_AXIS_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_AXIS_LABELS = 8


class Way(NamedTuple):
    """One of several ways in which an item was asked, its options in one of their orders."""

    state: str
    options: tuple[str, ...]
    gold: str
    """The right letter in this order."""
    answer: str
    note: str
    reply: str
    shown: bool
    """Whether the conversation on the page is this one's."""


@dataclass(frozen=True)
class Exhibit:
    """One item on a page.

    `verdict` is what the run decided; its words before a colon are what is counted ("kept", "dropped at verify:
    missing: ..."). `picture` gives the pixels of a reference in the trajectory; an ItemError it raises is shown in
    the picture's place. `marked` and `raw` are the first visual prompt's frame with and without its mark. `state`
    says what became of the answer where right and wrong are not enough, `note` in one line how it was read, `groups`
    what the item is in a benchmark's groupings,
    `ways` how it was asked if that was in several ways.
    """

    sample: Sample
    trajectory: Trajectory | None = None
    verdict: str = "kept"
    picture: Callable[[Image], PIL.Image.Image] | None = None
    marked: PIL.Image.Image | None = None
    raw: PIL.Image.Image | None = None
    state: str = ""
    note: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()


def looker(
    images: Sequence[Image], read: Callable[[], Iterable[PIL.Image.Image]]
) -> Callable[[Image], PIL.Image.Image]:
    """Gives pictures by reference; the first one asked for has all of `images` read in one pass. If that fails, each
    asking says so."""
    pictures: dict[Image, PIL.Image.Image] = {}
    faults: list[ItemError] = []

    def look(image: Image) -> PIL.Image.Image:
        if not pictures and not faults:
            try:
                pictures.update(zip(images, read(), strict=True))
            except ItemError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return pictures[image]

    return look


@dataclass
class Piece:
    """A stretch of a turn: words of one kind, or frames shown without words between them.

    Each frame comes with the words it was stamped with, empty where they only say its true time.
    """

    kind: Literal["thought", "answer", "text", "frames"]
    text: str = ""
    frames: list[tuple[Image, str]] = field(default_factory=list)


def answer_state(trajectory: Trajectory | None) -> str:
    """right | wrong | not judged | no answer | not played. No answer is never a wrong one."""
    if trajectory is None:
        return NOT_PLAYED
    if trajectory.stop is not StopReason.ANSWERED:
        return "no answer"
    return {True: "right", False: "wrong", None: "not judged"}[trajectory.correct]


def pieces(turn: Turn) -> list[Piece]:
    """A turn's content in order. A short text right before a picture is taken as its stamp."""
    found: list[Piece] = []
    told = ""
    for block, following in zip(turn.content, (*turn.content[1:], None), strict=False):
        if isinstance(block, Image):
            if not found or found[-1].kind != "frames":
                found.append(Piece("frames"))
            found[-1].frames.append((block, "" if told == stamp(block.time_s) else told))
            told = ""
        elif isinstance(following, Image) and len(block.text) <= LONGEST_STAMP:
            told = block.text
        else:
            found += spoken(block.text) if turn.role == "assistant" else [Piece("text", block.text)]
    return found


def spoken(text: str) -> list[Piece]:
    """A model's words apart: thoughts, answers and what stands outside of both."""
    if _HEADLESS_THOUGHT.match(text):
        text = f"<think>{text}"  # some chat templates open the block before the model speaks
    found, end = [], 0
    for match in _SPOKEN.finditer(text):
        found.append(Piece("text", text[end : match.start()].strip()))
        thought = match.group(1).lower() == "think"
        found.append(Piece("thought" if thought else "answer", match.group(2).strip()))
        end = match.end()
    found.append(Piece("text", text[end:].strip()))
    return [piece for piece in found if piece.text]


def arguments(call: ToolCall) -> list[tuple[str, str]]:
    """Names and values of a call, values as Python and JSON write them."""
    return [(key, json.dumps(v, ensure_ascii=False)) for key, v in call.arguments.items()]


class Stretch(NamedTuple):
    """A span of time, and its left edge and width in percent of the video."""

    start_s: float
    end_s: float
    left: str
    width: str


class Ruler:
    """Places on a video of `length_s` seconds, in percent; what lies outside is moved to its edge."""

    def __init__(self, length_s: float) -> None:
        self.length_s = max(length_s, 1e-3)

    def at(self, time_s: float) -> str:
        return f"{100 * min(max(time_s / self.length_s, 0.0), 1.0):.2f}"

    def stretch(self, span_s: tuple[float, float] | None) -> Stretch | None:
        if span_s is None:
            return None
        left, right = (float(self.at(time_s)) for time_s in span_s)
        return Stretch(*span_s, f"{left:.2f}", f"{right - left:.2f}")

    def points(self, times_s: Iterable[float]) -> list[tuple[str, float]]:
        return [(self.at(time_s), time_s) for time_s in times_s]

    def ticks(self, images: Iterable[Image]) -> str:
        """The video's frames as upright strokes of one SVG path, in a box 100 wide and 1 high."""
        times = (i.time_s for i in images if i.source == VIDEO and i.time_s is not None)
        return "".join(f"M{self.at(time_s)} 0V1" for time_s in times)

    def axis(self) -> list[tuple[str, float]]:
        """Labels at round times, so few that they do not touch."""
        steps = (s for s in _AXIS_STEPS_S if self.length_s / s <= _AXIS_LABELS)
        step_s = next(steps, math.ceil(self.length_s / _AXIS_LABELS))
        return self.points(n * step_s for n in range(int(self.length_s / step_s) + 1))


def timeline(sample: Sample, trajectory: Trajectory | None) -> dict[str, Any]:
    """Window, event, marks, overview frames and each call's stretch and frames, all in percent of the video."""
    ruler = Ruler(sample.video.duration_s)
    turns = trajectory.turns if trajectory else ()
    told = {turn.tool_call_id: turn for turn in turns if turn.role == "tool"}
    overview = [image for turn in turns if turn.role != "tool" for image in turn.images]
    calls = trajectory.calls if trajectory else ()
    return {
        "axis": ruler.axis(),
        "window": ruler.stretch(sample.target.window_s),
        "event": ruler.stretch(sample.target.event_s),
        "marks": ruler.points(prompt.time_s for prompt in sample.visual_prompts),
        "overview": len(overview),
        "ticks": ruler.ticks(overview),
        "calls": [_looked(call, told.get(call.id), ruler) for call in calls],
    }


def _looked(call: ToolCall, told: Turn | None, ruler: Ruler) -> dict[str, Any]:
    """One call: the stretch it asked for (else the one it got), the frames it got, how it went."""
    images = told.images if told else ()
    film = [i.time_s for i in images if i.source == VIDEO and i.time_s is not None]
    marked = [i.time_s for i in images if i.source != VIDEO and i.time_s is not None]
    asked = [_seconds(call.arguments.get(key)) for key in ("start_time", "end_time")]
    times = [time_s for time_s in asked if time_s is not None]
    times = times if len(times) == 2 else film
    refused = bool(call.error) or (told is not None and told.refused)
    return {
        "name": call.name or "unreadable call",
        "bar": ruler.stretch((min(times), max(times)) if times else None),
        "frames": len(images),
        "ticks": ruler.ticks(images),
        "marks": ruler.points(marked),
        "state": "refused" if refused else "done" if told else "not carried out",
    }


def _seconds(value: Any) -> float | None:
    """A time that a model wrote; None for anything that is not a sensible number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) < 1e9 else None
