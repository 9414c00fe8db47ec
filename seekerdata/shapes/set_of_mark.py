"""SetOfMark: a number on a badge in the depth of the target, or on a pin beside a target that it would hide."""

import math
from collections.abc import Iterator

import numpy as np

from seekerdata.colour import opposite
from seekerdata.digits import HEIGHT, digits
from seekerdata.drawing import Ink, Target, least_hiding
from seekerdata.visual_prompt import Shape

__all__ = ["SetOfMark"]

SMALLEST_BADGE_PX = 6.0
"""Radius of the smallest badge whose figures can be told apart."""


class SetOfMark(Shape):
    """A number on a badge in the depth of the target, or on a pin beside one that it would hide (microsoft/SoM)."""

    phrase: str = "the target marked with number {number}"
    radius: float = 7.0
    """Of the badge, in 1/336 of the frame's longer side."""
    air: float = 1.0
    """Between the target and the tip of a pin, in 1/336 of the frame's longer side."""
    enough_hidden: float = 0.12
    """Share of the target that a badge on it may cover."""

    def draw(
        self,
        canvas: np.ndarray,
        mask: np.ndarray,
        colour: tuple[int, int, int],
        rng: np.random.Generator,
        number: int = 1,
    ) -> None:
        """See `Shape.draw`. `number` is not negative."""
        target = Target.of(mask)
        radius_px = max(self.radius * target.scale, SMALLEST_BADGE_PX)
        strokes, width = digits(number)
        size_px = 1.15 * radius_px
        half_px = max(0.0, (width * size_px - radius_px) / 2)
        badge = least_hiding(self._badges(target, radius_px, half_px, rng), self.enough_hidden)
        badge.paint(canvas, colour)
        corner = badge.fills[-1].mean(axis=0) - np.array([width, HEIGHT]) * size_px / 2
        text = Ink(target, casing=0)
        for stroke in strokes:
            text.line(corner + stroke * size_px, 0.17 * size_px)
        text.paint(canvas, opposite(colour))

    def _badges(self, target: Target, radius_px: float, half_px: float, rng: np.random.Generator) -> Iterator[Ink]:
        """On the target first, then as a pin from every side with room. The disc is always the last fill."""
        yield Ink(target).fill(_pill(target.centre_xy, radius_px, half_px))
        gap_px = self.air * target.scale + Ink(target).casing_px
        length_px = 1.6 * radius_px + half_px
        clear_px = np.array([radius_px + half_px, radius_px]) + Ink(target).casing_px
        for tip, unit, length in target.ways_in([length_px], length_px, gap_px, clear_px, rng):
            middle = tip + unit * length
            side = np.array([-unit[1], unit[0]]) * 0.7 * radius_px
            pin = np.array([tip, middle + side, middle - side])
            yield Ink(target).fill(pin).fill(_pill(middle, radius_px, half_px))


def _pill(middle: np.ndarray, radius_px: float, half_px: float) -> np.ndarray:
    """(64, 2) a disc, stretched sideways by `half_px` each way."""
    angles = (np.arange(64) - 31.5) * (math.pi / 32)
    sides = np.where(np.abs(angles) < math.pi / 2, half_px, -half_px)
    return middle + np.stack([np.cos(angles) * radius_px + sides, np.sin(angles) * radius_px], 1)
