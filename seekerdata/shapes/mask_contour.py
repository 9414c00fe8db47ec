"""MaskContour: a smooth line around the target's own outline, just outside of it. Holes are not outlined."""

import math

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding, spaced
from seekerdata.visual_prompt import Shape

__all__ = ["MaskContour"]


class MaskContour(Shape):
    """A smooth line around the target's own outline; at the frame's edge it stays inside, if that hides little."""

    phrase: str = "the target outlined by the contour"
    width: tuple[float, float] = (1.3, 1.8)
    """Line width, drawn evenly from this range, in 1/336 of the frame's longer side."""
    air: float = 0.4
    """Between the target and the line with its rim, in 1/336 of the frame's longer side."""
    enough_hidden: float = 0.1
    """Share of the target that a contour held inside the frame may cover."""

    def draw(
        self,
        canvas: np.ndarray,
        mask: np.ndarray,
        colour: tuple[int, int, int],
        rng: np.random.Generator,
        number: int = 1,
    ) -> None:
        """See `Shape.draw`."""
        target = Target.of(mask)
        width_px = rng.uniform(*self.width) * target.scale
        off_px = width_px / 2 + Ink(target).casing_px
        path = _around(target, off_px + self.air * target.scale)
        held_path = np.clip(path, off_px, target.size_wh - off_px)
        paths = [held_path, path] if target.inside_frame(path).mean() > 0.2 else [held_path]
        marks = (Ink(target).line(_sparse(points, target.scale), width_px, closed=True) for points in paths)
        least_hiding(marks, self.enough_hidden).paint(canvas, colour)


def _around(target: Target, margin_px: float) -> np.ndarray:
    """(N, 2) the closed, smooth, dense path at `margin_px` around the target; it may leave the frame."""
    import cv2

    x0, y0, x1, y1 = target.box_xyxy.astype(int)
    part = target.mask[y0:y1, x0:x1]
    # On a large target, steps finer than 2/3 of a unit are not seen under the line and cost milliseconds.
    step = max(1, min(int(target.scale / 1.5), max(part.shape) // 200))
    rows, columns = (-(-side // step) for side in part.shape)
    part = np.pad(part, ((0, rows * step - part.shape[0]), (0, columns * step - part.shape[1])))
    coarse = cv2.resize(part.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    reach = math.ceil(margin_px / step + 0.5)
    across = np.arange(-reach, reach + 1)
    disc = np.hypot(across, across[:, None]) <= reach + 0.3
    grown = cv2.dilate((np.pad(coarse, reach + 1) > 0).view(np.uint8), disc.view(np.uint8))
    (contour, *_), _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # Smoothing pulls a small outline together: over a tenth of its length it stays off the target.
    spacing_px = min(target.scale / 2, len(contour) * step / 80)
    stairs = spaced((contour[:, 0] - (reach + 0.5)) * step + (x0, y0), spacing_px)
    weights = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25
    ring = np.pad(stairs, ((4, 4), (0, 0)), mode="wrap")
    return np.stack([np.convolve(ring[:, axis], weights, "valid") for axis in (0, 1)], axis=1)


def _sparse(path: np.ndarray, scale: float) -> np.ndarray:
    """(M, 2) the points of a dense closed path that show: fewer, longer strokes are quicker to draw."""
    import cv2

    return cv2.approxPolyDP(path.astype(np.float32), 0.04 * scale, True)[:, 0].astype(float)
