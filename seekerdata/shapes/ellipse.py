"""Ellipse: the smallest upright one, in the proportions of the target's box, with the whole target inside."""

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding, round_path
from seekerdata.visual_prompt import Shape

__all__ = ["Ellipse"]


class Ellipse(Shape):
    """The smallest upright ellipse around the target; it may leave the frame in part, else it is squeezed into it."""

    phrase: str = "the target inside the ellipse"
    width: tuple[float, float] = (1.5, 2.1)
    """Line width, drawn evenly from this range, in 1/336 of the frame's longer side."""
    air: float = 1.0
    """Between the target and the line with its rim, in 1/336 of the frame's longer side."""
    enough_shown: float = 0.6
    """Share of the line that must lie in the frame."""
    enough_hidden: float = 0.1
    """Share of the target that an ellipse squeezed into the frame may cover."""

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
        low, high = target.box_xyxy.reshape(2, 2)
        middle, half = (low + high) / 2, (high - low) / 2
        # The ellipse that fills the box cuts off its corners; grow it until the target's own pixels are inside.
        reach = np.hypot(*((np.abs(target.contour - middle) + 0.5) / half).T).max()
        radii = half * max(1.0, reach) + off_px + self.air * target.scale
        path = round_path(middle, radii, 96)
        low, high = np.clip([middle - radii, middle + radii], off_px, target.size_wh - off_px)
        squeezed = round_path((low + high) / 2, (high - low) / 2, 96)
        shown = target.inside_frame(path).mean()
        paths = [path, squeezed] if shown >= self.enough_shown else [squeezed, path]
        if shown < 0.2:
            paths = [squeezed]
        marks = (Ink(target).line(points, width_px, closed=True) for points in paths)
        least_hiding(marks, self.enough_hidden).paint(canvas, colour)
