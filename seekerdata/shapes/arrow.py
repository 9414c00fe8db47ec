"""Arrow: its tip stops at the target's edge, and it comes from where there is room. It never leaves the frame."""

from collections.abc import Iterator

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding
from seekerdata.visual_prompt import Shape

__all__ = ["Arrow"]

HEAD = 11.0
"""Length and breadth of the head, in 1/336 of the frame's longer side."""


class Arrow(Shape):
    """An arrow whose tip stops at the target's edge; it comes from a side with room and aims at the target's depth."""

    phrase: str = "the target indicated by the arrow"
    length: tuple[float, float] = (22.0, 34.0)
    """Drawn evenly from this range, in 1/336 of the frame's longer side; halved where room is short."""
    air: float = 1.0
    """Between the target and the tip with its rim, in 1/336 of the frame's longer side."""

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
        length_px = rng.uniform(*self.length) * target.scale
        least_hiding(self._arrows(target, length_px, rng), 0.0).paint(canvas, colour)

    def _arrows(self, target: Target, length_px: float, rng: np.random.Generator) -> Iterator[Ink]:
        gap_px = self.air * target.scale + Ink(target).casing_px
        lengths_px = [length_px * share for share in (1.0, 0.7, 0.5)]
        head_px = HEAD * target.scale
        for way in target.ways_in(lengths_px, head_px, gap_px, head_px / 2 + gap_px, rng):
            yield Ink(target).fill(_outline(*way, head_px))


def _outline(tip: np.ndarray, unit: np.ndarray, length_px: float, head_px: float) -> np.ndarray:
    """(7, 2) corners of an arrow with its point at `tip` and its tail `length_px` along `unit`."""
    head = min(head_px, 0.55 * length_px)
    half = 0.5 * head
    neck, tail = 0.3 * half, 0.16 * half
    along = np.array([0, head, 0.86 * head, length_px, length_px, 0.86 * head, head])
    aside = np.array([0, half, neck, tail, -tail, -neck, -half])
    return tip + along[:, None] * unit + aside[:, None] * (-unit[1], unit[0])
