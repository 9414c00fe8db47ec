"""annotated: masks that come with the data. A box becomes a mask by GrabCut inside it."""

from collections.abc import Sequence

import numpy as np

from seekerdata.errors import ItemError
from seekerdata.instance import Instance, Segmenter, Sighting, encode_mask, mask_box
from seekerdata.sample import Sample
from seekerdata.video import Video

__all__ = ["Annotated"]

WholeBox = tuple[int, int, int, int]


class Annotated(Segmenter):
    """Takes the masks or boxes that come with the data; a box becomes a mask by GrabCut.

    GrabCut is trusted if what it finds is as wide and as high as the box, which a person drew around all of the
    target. Otherwise the mask is the ellipse inside the box; `Sighting.mask_from` says which it was.
    """

    version = 2

    grabcut_side_px: int = 256
    """GrabCut runs on the box's surroundings scaled to this longer side: seconds at full size, 0.1 s here."""
    same_box: float = 0.8
    """Least overlap (IoU) of the found mask's own box with the annotated one."""
    fills_box: float = 0.2
    """Least share of the box that the found mask covers."""

    def segment(self, sample: Sample, video: Video) -> Instance:
        """The annotated instance with a mask for every sighting.

        Raises:
            ItemError: `no_annotation` if there is neither mask nor box.
        """
        if sample.instance is None or not sample.instance.sightings:
            raise ItemError("no_annotation", "neither box nor mask comes with this row")
        sightings = tuple(s if s.mask else self._filled(s, video) for s in sample.instance.sightings)
        return sample.instance.model_copy(update={"sightings": sightings})

    def _filled(self, sighting: Sighting, video: Video) -> Sighting:
        (frame,) = video.frames([sighting.time_s])
        box = whole_box(sighting.box_xyxy, frame.rgb.shape[:2])
        mask, how = self._grabcut(frame.rgb, box), "grabcut"
        if not self._trusted(mask, box):
            mask, how = ellipse_inside(box, frame.rgb.shape[:2]), "ellipse in the box"
        update = {"time_s": frame.time_s, "mask": encode_mask(mask), "mask_from": how}
        return sighting.model_copy(update=update)

    def _trusted(self, mask: np.ndarray, box: WholeBox) -> bool:
        found = mask_box(mask)
        x0, y0, x1, y1 = box
        area = (x1 - x0) * (y1 - y0)
        if found is None or mask.sum() < self.fills_box * area:
            return False
        return (found[2] - found[0]) * (found[3] - found[1]) >= self.same_box * area  # found lies inside the box

    def _grabcut(self, rgb: np.ndarray, box: WholeBox) -> np.ndarray:
        """The foreground (H, W bool) inside a box: the box's ellipse is probably target, its corners probably not."""
        import cv2

        height, width = rgb.shape[:2]
        x0, y0, x1, y1 = box
        margin = max(8, round(0.25 * max(x1 - x0, y1 - y0)))
        left, top = max(0, x0 - margin), max(0, y0 - margin)
        around = rgb[top : min(height, y1 + margin), left : min(width, x1 + margin)]
        scale = min(1.0, self.grabcut_side_px / max(around.shape[:2]))
        small = cv2.resize(around, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        inner = whole_box([v * scale for v in (x0 - left, y0 - top, x1 - left, y1 - top)], small.shape[:2])
        labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
        labels[inner[1] : inner[3], inner[0] : inner[2]] = cv2.GC_PR_BGD
        labels[ellipse_inside(inner, small.shape[:2])] = cv2.GC_PR_FGD
        cv2.setRNGSeed(0)
        bgr, models = np.ascontiguousarray(small[:, :, ::-1]), np.zeros((2, 1, 65))
        cv2.grabCut(bgr, labels, None, models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
        found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
        found = cv2.resize(found, (around.shape[1], around.shape[0]), interpolation=cv2.INTER_NEAREST)
        mask = np.zeros((height, width), bool)
        mask[top : top + around.shape[0], left : left + around.shape[1]] = found
        outside = np.ones_like(mask)
        outside[y0:y1, x0:x1] = False
        return mask & ~outside


def whole_box(box_xyxy: Sequence[float], size_hw: tuple[int, ...]) -> WholeBox:
    """A box in whole pixels, at least one pixel large, inside the frame."""
    x0, y0 = (min(round(v), size - 1) for v, size in zip(box_xyxy[:2], size_hw[::-1], strict=True))
    x1, y1 = (min(round(v), size) for v, size in zip(box_xyxy[2:], size_hw[::-1], strict=True))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def ellipse_inside(box: WholeBox, size_hw: tuple[int, ...]) -> np.ndarray:
    """The mask (H, W bool) of the ellipse that touches all four sides of a box."""
    x0, y0, x1, y1 = box
    rows = (np.arange(size_hw[0])[:, None] + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
    columns = (np.arange(size_hw[1])[None, :] + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)
    return rows**2 + columns**2 <= 1.0
