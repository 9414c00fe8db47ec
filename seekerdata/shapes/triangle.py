"""Triangle: an outline around the target where one fits in the frame, else a small solid one that points to it.

Around, it marks as surely as a box does. But a triangle around something has twice its box, so that around a large
target it would leave the frame or hold half the scene; there a marker beside the target is the clearer sign.
"""

import math
from collections.abc import Iterator

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding
from seekerdata.visual_prompt import Shape

__all__ = ["Triangle"]


class Triangle(Shape):
    """An outline around the target where one fits, else a small solid triangle beside it that points to it."""

    phrase: str = "the target indicated by the triangle marker"
    width: tuple[float, float] = (1.5, 2.1)
    """Line width of the outline, drawn evenly from this range, in 1/336 of the frame's longer side."""
    air: float = 1.0
    """Between the target and the mark with its rim, in 1/336 of the frame's longer side."""
    half_apex_deg: tuple[float, ...] = (22.0, 30.0, 38.0)
    """Half of the outline's top angle; the one that gives the smallest triangle is taken."""
    largest: float = 0.1
    """Share of the frame that an outline may hold."""
    marker: tuple[float, float] = (13.0, 17.0)
    """Height of the marker, drawn evenly from this range, in 1/336 of the frame's longer side."""

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
        height_px = rng.uniform(*self.marker) * target.scale
        off_px = width_px / 2 + Ink(target).casing_px
        corners = self._around(target, off_px + self.air * target.scale, off_px)
        if corners is not None:
            Ink(target).line(corners, width_px, closed=True).paint(canvas, colour)
        else:
            least_hiding(self._beside(target, height_px, rng), 0.0).paint(canvas, colour)

    def _around(self, target: Target, margin_px: float, off_px: float) -> np.ndarray | None:
        """(3, 2) corners of the smallest outline in the frame, None if none fits."""
        points = target.contour
        best, smallest_px = None, self.largest * target.mask.size
        for degrees in self.half_apex_deg:
            for up in (1, -1):
                corners = _tangent_triangle(points * (1, up), math.radians(degrees), margin_px + 0.5)
                corners = corners * (1, up)
                area_px = np.ptp(corners[:, 0]) * np.ptp(corners[:, 1]) / 2
                # Clearly smaller, so that equal ones are not told apart by how a machine rounds.
                if area_px < 0.98 * smallest_px and target.inside_frame(corners, off_px).all():
                    best, smallest_px = corners, area_px
        return best

    def _beside(self, target: Target, height_px: float, rng: np.random.Generator) -> Iterator[Ink]:
        gap_px = self.air * target.scale + Ink(target).casing_px
        for way in target.ways_in([height_px, height_px * 0.7], height_px, gap_px, height_px / 2, rng):
            yield Ink(target).fill(_marker(*way))


def _tangent_triangle(points: np.ndarray, half_apex: float, margin_px: float) -> np.ndarray:
    """(3, 2) apex, left and right corner of the triangle, apex towards smaller y, around points (N, 2)."""
    sine, cosine = math.sin(half_apex), math.cos(half_apex)
    x, y = points.T
    left = (-cosine * x - sine * y).max() + margin_px
    right = (cosine * x - sine * y).max() + margin_px
    base = y.max() + margin_px
    apex = ((right - left) / (2 * cosine), -(left + right) / (2 * sine))
    return np.array([apex, (-(left + sine * base) / cosine, base), ((right + sine * base) / cosine, base)])


def _marker(tip: np.ndarray, unit: np.ndarray, height_px: float) -> np.ndarray:
    """(3, 2) corners of a solid triangle that stands on its tip, `unit` pointing to the middle of its base."""
    side = np.array([-unit[1], unit[0]]) * height_px * 0.4
    return np.array([tip, tip + unit * height_px + side, tip + unit * height_px - side])
