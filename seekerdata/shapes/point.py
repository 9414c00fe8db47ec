"""Point: a dot in the depth of the target. A target that the smallest dot would hide gets a ring around it instead."""

import math

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding, round_path
from seekerdata.visual_prompt import Shape

__all__ = ["Point"]


class Point(Shape):
    """A dot in the depth of the target, small enough to hide at most `most_hidden` of it, or a ring around it."""

    phrase: str = "the target marked by the point"
    radius: tuple[float, float] = (3.0, 4.5)
    """Of the dot on a large target, drawn evenly from this range, in 1/336 of the frame's longer side."""
    smallest_radius: float = 1.5
    """Of any dot, in 1/336 of the frame's longer side: below it, it would be overlooked."""
    most_hidden: float = 0.2
    """Share of the target that dot and rim may cover."""

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
        smallest_px = self.smallest_radius * target.scale
        radius_px = rng.uniform(*self.radius) * target.scale
        fitting_px = math.sqrt(self.most_hidden * target.area_px / math.pi) - Ink(target).casing_px - 1
        points, depths = target.depths
        deep = points[depths >= 0.75 * depths.max()]
        spot = deep[rng.integers(len(deep))]
        dot = Ink(target).fill(round_path(spot, min(radius_px, max(fitting_px, smallest_px))))
        ring = self._ring(target)
        least_hiding([dot, ring], self.most_hidden).paint(canvas, colour)

    def _ring(self, target: Target) -> Ink:
        low, high = target.box_xyxy.reshape(2, 2)
        width_px = 1.2 * target.scale
        ring = Ink(target)
        radius_px = math.hypot(*(high - low)) / 2 + width_px / 2 + ring.casing_px + target.scale
        return ring.line(round_path((low + high) / 2, radius_px), width_px, closed=True)
