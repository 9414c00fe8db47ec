"""MaskTrack: one thing as a model followed it, a mask and a score at each true time; which of several tracks counts.

Masks are run-length codes: 256 full frames of them as pictures would fill the memory. Choosing is pure; no model.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from seekerdata.errors import ItemError
from seekerdata.instance import Box, Instance, Sighting, encode_mask, mask_box

Several = Literal["reject", "best"]
"""What to do when several things fit the words at one time: reject the question, or take the surest of them."""


@dataclass(frozen=True)
class MaskTrack:
    """The sightings of one thing by time in seconds, and how sure the model was of each (0 to 1)."""

    sightings: dict[float, Sighting] = field(default_factory=dict)
    scores: dict[float, float] = field(default_factory=dict)

    @property
    def weight(self) -> float:
        """The sum of the scores: a thing seen surely and long outweighs a flash."""
        return sum(self.scores.values())

    def add(self, time_s: float, mask: np.ndarray, score: float, mask_from: str) -> None:
        """Note a mask (H, W bool); an empty one says that the thing is not seen and is not kept."""
        box = mask_box(mask)
        if box is None:
            return
        self.sightings[time_s] = Sighting(time_s=time_s, box_xyxy=box, mask=encode_mask(mask), mask_from=mask_from)
        self.scores[time_s] = score

    def fill(self, other: "MaskTrack") -> None:
        """Take over what another track of the same thing saw at times when this one saw nothing."""
        for time_s in other.sightings.keys() - self.sightings.keys():
            self.sightings[time_s] = other.sightings[time_s]
            self.scores[time_s] = other.scores[time_s]

    def instance(self, tag: str) -> Instance:
        """The track as an Instance, in order of time."""
        return Instance(tag=tag, sightings=tuple(self.sightings[time_s] for time_s in sorted(self.sightings)))


def the_one(tracks: list[MaskTrack], tag: str, several: Several, same_iou: float) -> MaskTrack:
    """The track of the thing that the words name.

    Tracks that cover each other (mean IoU of at least `same_iou` where both are seen) are one thing found twice. Tracks
    that are never seen together are one thing that went and came back, since the words name one thing.

    Raises:
        ItemError: `nothing_found`; `several_found` if different things are seen together and `several` is `reject`.
    """
    things = _distinct([track for track in tracks if track.sightings], same_iou)
    if not things:
        raise nothing_found(tag)
    if several == "best":
        return things[0]
    times = [time_s for track in things for time_s in track.sightings]
    crowded = [time_s for time_s in sorted(set(times)) if times.count(time_s) > 1]
    if crowded:
        raise several_found(tag, times.count(crowded[0]), crowded[0])
    for other in things[1:]:
        things[0].fill(other)
    return things[0]


def nothing_found(tag: str) -> ItemError:
    return ItemError("nothing_found", f"nothing in the window fits '{tag}'")


def several_found(tag: str, count: int, time_s: float) -> ItemError:
    return ItemError("several_found", f"{count} things fit '{tag}' at {time_s:.1f} s")


def _distinct(tracks: list[MaskTrack], same_iou: float) -> list[MaskTrack]:
    """The weightiest first, without those that only repeat one of them."""
    kept: list[MaskTrack] = []
    for track in sorted(tracks, key=lambda t: -t.weight):
        twin = next((other for other in kept if _overlap(other, track) >= same_iou), None)
        if twin is None:
            kept.append(track)
        else:
            twin.fill(track)
    return kept


def _overlap(one: MaskTrack, other: MaskTrack) -> float:
    """Mean IoU of the masks at the times when both are seen; 0 if there are none."""
    shared = sorted(one.sightings.keys() & other.sightings.keys())
    ious = [mask_iou(one.sightings[t].mask or {}, other.sightings[t].mask or {}) for t in shared]
    return sum(ious) / len(ious) if ious else 0.0


def mask_iou(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Intersection over union of two run-length codes of the same size."""
    from pycocotools import mask as coco

    one, other = ({"size": m["size"], "counts": m["counts"].encode("ascii")} for m in (one, other))
    return float(coco.iou([one], [other], [0])[0, 0])


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 if they do not meet."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / (sum(areas) - width * height)
