"""Annotation: what people marked in a video for one question (tag, window, boxes, masks), checked against the video.

Hand-made marks are a little off: a window or time up to half a second past the end (players show whole seconds) and
a box up to 1 % of the frame's side outside of it (at least 2 px) are clipped and noted. Farther is a mistake.
"""

import math
from typing import Any, NamedTuple

from seekerdata.errors import ItemError
from seekerdata.instance import Box, Instance, Sighting, decode_mask, encode_mask, mask_box
from seekerdata.mistakes import Mistakes, shown
from seekerdata.sample import Target, VideoRef
from seekerdata.visual_prompt import SHAPES

TIME_SLACK_S = 0.5
BOX_SLACK_SHARE = 0.01
BOX_SLACK_PX = 2.0


class Annotation(NamedTuple):
    """`adjusted` says in words what was clipped."""

    target: Target
    instance: Instance | None
    adjusted: tuple[str, ...]


def read_annotation(raw: Any, field: str, video: VideoRef, mistakes: Mistakes) -> Annotation:
    """What a row's annotation field holds; whatever is wrong with it goes to `mistakes`.

    Args:
        raw: `{tag, description?, unique | unique_target, reason?, window: {start, end} or [start, end],
            box | boxes: {time, xyxy} or a list of them, mask | masks: {time, mask: COCO RLE} or a list,
            shape: the one of the eight to mark it with}`;
            every part may be missing or null. Other keys are not read.
        field: its name, for error texts.
    """
    if raw is None:
        return Annotation(Target(), None, ())
    if not isinstance(raw, dict):
        mistakes.add("bad_annotation", f"{field} is {shown(raw)}, must be an object")
        return Annotation(Target(), None, ())
    return _Reader(raw, field, video, mistakes).read()


class _Reader:
    def __init__(self, raw: dict[str, Any], field: str, video: VideoRef, mistakes: Mistakes) -> None:
        self.raw, self.field, self.video, self.mistakes = raw, field, video, mistakes
        self.adjusted: list[str] = []

    def read(self) -> Annotation:
        tag, description, unique = self._text("tag"), self._text("description"), self._unique()
        target = Target(
            tag=tag,
            description=description,
            unique=unique,
            needs_mark=not unique,  # words that fit one thing only need no mark
            reason=self._text("reason"),
            window_s=self._window(),
            shape=self._shape(),
        )
        sightings = self._sightings()
        instance = Instance(tag=tag, sightings=sightings) if sightings else None
        return Annotation(target, instance, tuple(self.adjusted))

    def _text(self, key: str) -> str:
        value = self.raw.get(key)
        if value is None or isinstance(value, str):
            return " ".join((value or "").split())
        self.mistakes.add("bad_annotation", f"{self.field}.{key} is {shown(value)}, must be text")
        return ""

    def _shape(self) -> str:
        shape = self._text("shape")
        if shape and shape not in SHAPES:
            text = f"{self.field}.shape is {shown(shape)}, must be one of {', '.join(SHAPES)}"
            self.mistakes.add("bad_annotation", text)
        return shape

    def _unique(self) -> bool | None:
        for key in ("unique", "unique_target"):
            value = self.raw.get(key)
            if isinstance(value, bool):
                return value
            if value is not None:
                text = f"{self.field}.{key} is {shown(value)}, must be true, false or null"
                self.mistakes.add("bad_annotation", text)
        return None

    def _window(self) -> tuple[float, float] | None:
        raw, name = self.raw.get("window"), f"{self.field}.window"
        if raw is None:
            return None
        ends = [raw.get("start"), raw.get("end")] if isinstance(raw, dict) else raw
        start_s, end_s = _numbers(ends, 2) or (None, None)
        if start_s is None or end_s is None:
            text = f"{name} is {shown(raw)}, must be {{start, end}} or [start, end] in seconds"
            self.mistakes.add("bad_window", text)
            return None
        if end_s <= start_s:
            text = f"{name} ends at {end_s:g} s, must be after its start at {start_s:g} s"
            self.mistakes.add("bad_window", text)
            return None
        whole_s = self.video.duration_s
        if start_s < 0 or start_s >= whole_s or end_s > whole_s + TIME_SLACK_S:
            text = f"{name} is {start_s:g}-{end_s:g} s, outside the video of {whole_s:g} s"
            self.mistakes.add("bad_window", text)
            return None
        return start_s, self._within(end_s, f"{name} end")

    def _within(self, time_s: float, name: str) -> float:
        """A time not past the video's end; what was cut off is noted."""
        if time_s > self.video.duration_s:
            self.adjusted.append(f"{name} {time_s:g} -> {self.video.duration_s:g} s")
        return min(time_s, self.video.duration_s)

    def _sightings(self) -> tuple[Sighting, ...]:
        """In order of time; where a box and a mask share a time, the mask says more and is taken."""
        by_time: dict[float, Sighting] = {}
        for kind, read in (("box", self._box), ("mask", self._mask)):
            seen: set[float] = set()
            for name, part in self._parts(kind):
                sighting = read(name, part)
                if sighting is None:
                    continue
                if sighting.time_s in seen:
                    text = f"{name} is a second {kind} at {sighting.time_s:g} s"
                    self.mistakes.add(f"bad_{kind}", text)
                seen.add(sighting.time_s)
                by_time[sighting.time_s] = sighting
        return tuple(by_time[time_s] for time_s in sorted(by_time))

    def _parts(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Every box or mask with a name for error texts."""
        parts = []
        for key in (kind, "boxes" if kind == "box" else "masks"):
            raw = self.raw.get(key)
            for number, part in enumerate(raw if isinstance(raw, list) else [raw]):
                name = f"{self.field}.{key}" + (f"[{number}]" if isinstance(raw, list) else "")
                if isinstance(part, dict):
                    parts.append((name, part))
                elif part is not None or isinstance(raw, list):
                    inner = "xyxy" if kind == "box" else "mask"
                    text = f"{name} is {shown(part)}, must be {{time, {inner}}}"
                    self.mistakes.add(f"bad_{kind}", text)
        return parts

    def _time(self, name: str, part: dict[str, Any]) -> float | None:
        numbers = _numbers([part.get("time")], 1)
        if numbers is None:
            text = f"{name}.time is {shown(part.get('time'))}, must be a number of seconds"
            self.mistakes.add("bad_time", text)
            return None
        (time_s,) = numbers
        if not 0 <= time_s <= self.video.duration_s + TIME_SLACK_S:
            text = f"{name}.time is {time_s:g} s, outside the video of {self.video.duration_s:g} s"
            self.mistakes.add("bad_time", text)
            return None
        return self._within(time_s, f"{name}.time")

    def _box(self, name: str, part: dict[str, Any]) -> Sighting | None:
        time_s, raw = self._time(name, part), part.get("xyxy")
        corners = _numbers(raw, 4)
        if corners is None:
            text = f"{name}.xyxy is {shown(raw)}, must be 4 numbers x0, y0, x1, y1 in pixels"
            self.mistakes.add("bad_box", text)
            return None
        problem = _box_problem(corners, self.video.size_wh)
        if problem:
            self.mistakes.add("bad_box", f"{name}.xyxy is {shown(raw)}, {problem}")
            return None
        width, height = self.video.size_wh
        x0, y0, x1, y1 = corners
        box: Box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
        if list(box) != corners:
            self.adjusted.append(f"{name}.xyxy clipped to the frame of {width}x{height}")
        return None if time_s is None else Sighting(time_s=time_s, box_xyxy=box)

    def _mask(self, name: str, part: dict[str, Any]) -> Sighting | None:
        time_s, rle = self._time(name, part), part.get("mask")
        problem = _mask_problem(rle, self.video.size_wh)
        if isinstance(rle, dict) and not problem:
            try:
                mask = decode_mask(rle)
                box = mask_box(mask)
                if time_s is not None and box is not None:
                    return Sighting(time_s=time_s, box_xyxy=box, mask=encode_mask(mask))
                problem = "" if box else "is empty"
            except ItemError as error:
                problem = f"does not decode: {error.message}"
        if problem:
            self.mistakes.add("bad_mask", f"{name}.mask {problem}")
        return None


def _numbers(raw: Any, count: int) -> list[float] | None:
    """`count` finite numbers of a list, or None. True and "1" are no numbers."""
    if not isinstance(raw, list) or len(raw) != count:
        return None
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in raw):
        return None
    try:
        numbers = [float(n) for n in raw]
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _box_problem(corners: list[float], size_wh: tuple[int, int]) -> str:
    x0, y0, x1, y1 = corners
    width, height = size_wh
    if x1 <= x0 or y1 <= y0:
        return "inverted or empty: needs x0 < x1 and y0 < y1"
    slack_x = max(BOX_SLACK_PX, BOX_SLACK_SHARE * width)
    slack_y = max(BOX_SLACK_PX, BOX_SLACK_SHARE * height)
    inside = x0 >= -slack_x and x1 <= width + slack_x and y0 >= -slack_y and y1 <= height + slack_y
    if not inside or x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        return f"outside the frame of {width}x{height}"
    if max(corners) <= 1.0:
        return f"smaller than a pixel: give pixels of {width}x{height}, not shares of the frame"
    return ""


def _mask_problem(rle: Any, size_wh: tuple[int, int]) -> str:
    """What is wrong with an RLE for this video, before it is decoded."""
    if not isinstance(rle, dict) or "size" not in rle or "counts" not in rle:
        return f"is {shown(rle)}, must be a COCO RLE {{size: [height, width], counts}}"
    width, height = size_wh
    if rle["size"] != [height, width]:
        return f"has size {shown(rle['size'])}, must be the frame's [{height}, {width}]"
    return ""
