"""segment: where is the target? A mask for every sighting, checked, and the frame that will carry the mark."""

import math
from typing import Annotated, Any

from pydantic import Field

from seekerdata.instance import Box, Segmenter, Sighting, decode_mask, mask_box
from seekerdata.mask_track import mask_iou
from seekerdata.plugin import make, picked
from seekerdata.sample import Sample
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Segment"]

TOUCH_PX = 2

NEIGHBOUR_S = 2.0
"""Sightings further apart say nothing about each other."""

Checked = tuple[Sighting, str]
"""A sighting and why it is unusable; empty if it is fine."""


class Segment(Stage):
    """Finds the target's masks with a segmenter, checks them and chooses the frame to mark.

    The frame: of the sightings inside the window, and not during the event that decides the answer (its frame
    would give the answer away), the largest mask that does not touch the frame's edge; if all touch, the largest;
    of equals the earliest.
    """

    by: Annotated[Segmenter, picked("segmenters")] = Field(default_factory=lambda: make("segmenters", "annotated"))
    min_area: float = 1e-4
    """Smallest mask, as a share of the frame: 92 pixels at 720p."""
    max_area: float = 0.8
    max_area_jump: float = 4.0
    """A followed mask may grow or shrink this many times from one second to the next."""
    max_leap: float = 0.5
    """A followed mask that does not meet the one before may have moved this share of the frame's diagonal."""
    window_slack_s: float = 0.5
    """A sighting this far outside the window still counts as inside: annotators sample at 1 fps."""

    @property
    def loads_weights(self) -> bool:
        return self.by.follows

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        sample = item.sample
        instance = self.by.segment(sample, workspace.video(sample.video.path))
        checked = [(s, self._fault(s, sample)) for s in instance.sightings]
        if self.by.follows:
            checked = self._steady(checked)
        good = [sighting for sighting, fault in checked if not fault]
        if not good:
            return Drop(reason=checked[0][1])
        inside = [s for s in good if self._inside(s.time_s, sample)]
        if not inside:
            times = ", ".join(f"{s.time_s:.1f}" for s in good[:5])
            return Drop(reason=f"outside_window: seen at {times} s, window {sample.target.window_s}")
        chosen = min(inside, key=lambda s: (_touches(s.box_xyxy, sample.video.size_wh), -area(s), s.time_s))
        target = sample.target.model_copy(update={"mark_s": chosen.time_s})
        instance = instance.model_copy(update={"sightings": tuple(good)})
        facts = {
            "by": self.by.plugin_name(),
            "mask_from": chosen.mask_from,
            "sightings": len(good),
            "rejected": len(checked) - len(good),
        }
        update = {
            "target": target,
            "instance": instance,
            "provenance": sample.noted("segment", **facts),
        }
        return item.model_copy(update={"sample": sample.model_copy(update=update)})

    def _fault(self, sighting: Sighting, sample: Sample) -> str:
        """Why a mask is unusable, starting with the word counted; empty if it is fine."""
        width, height = sample.video.size_wh
        mask = sighting.mask or {}
        if list(mask.get("size", [])) != [height, width]:
            return f"mask_size: {mask.get('size')} in a frame of {[height, width]}"
        share = area(sighting) / (width * height)
        if share < self.min_area:
            return f"mask_small: {share:.2g} of the frame, at least {self.min_area:g} is needed"
        if share > self.max_area:
            return f"mask_large: {share:.2g} of the frame, at most {self.max_area:g} can be marked"
        if mask_box(decode_mask(mask)) is None:
            return "mask_small: the mask is empty"
        return ""

    def _steady(self, checked: list[Checked]) -> list[Checked]:
        """The same with `mask_unstable` for a mask that fits none near it: a slip; after a cut it fits some."""
        usable = [sighting for sighting, fault in checked if not fault]
        faults: dict[float, str] = {}
        for sighting in usable:
            beside = [s for s in usable if 0 < abs(s.time_s - sighting.time_s) <= NEIGHBOUR_S]
            jumps = [self._jump(other, sighting) for other in beside]
            if jumps and all(jumps):
                faults[sighting.time_s] = f"mask_unstable: {jumps[0]}"
        return [(sighting, fault or faults.get(sighting.time_s, "")) for sighting, fault in checked]

    def _jump(self, one: Sighting, other: Sighting) -> str:
        """How two neighbouring masks differ more than one thing does within a second; empty if they do not."""
        between = f"between {one.time_s:.1f} and {other.time_s:.1f} s"
        ratio = max(area(one), area(other)) / min(area(one), area(other))
        if ratio > self.max_area_jump:
            return f"its area changes {ratio:.1f} times {between}, at most {self.max_area_jump:g}"
        leap = _leap(one, other)
        if leap > self.max_leap and mask_iou(one.mask or {}, other.mask or {}) == 0:
            return f"it leaps {leap:.2f} of the frame's diagonal {between}, at most {self.max_leap:g}"
        return ""

    def _inside(self, time_s: float, sample: Sample) -> bool:
        start_s, end_s = sample.target.window_s or (0.0, sample.video.duration_s)
        if not start_s - self.window_slack_s <= time_s <= end_s + self.window_slack_s:
            return False
        event = sample.target.event_s
        return event is None or not event[0] <= time_s <= event[1]


def area(sighting: Sighting) -> int:
    """Pixels of a sighting's mask, counted on the run-length code."""
    from pycocotools import mask as coco

    mask = sighting.mask or {}
    return int(coco.area({"size": mask["size"], "counts": mask["counts"].encode("ascii")}))


def _touches(box_xyxy: Box, size_wh: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = box_xyxy
    return min(x0, y0, size_wh[0] - x1, size_wh[1] - y1) < TOUCH_PX


def _leap(one: Sighting, other: Sighting) -> float:
    """How far the middles of two boxes are apart, as a share of the frame's diagonal."""
    height, width = (one.mask or {})["size"]
    across = [(sum(s.box_xyxy[axis::2]) / 2) for s in (one, other) for axis in (0, 1)]
    return math.hypot(across[0] - across[2], across[1] - across[3]) / math.hypot(width, height)
