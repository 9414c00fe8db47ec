"""Rectangle: an upright box around the target, with a little air between the two."""

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding, spaced
from seekerdata.visual_prompt import Shape

__all__ = ["Rectangle"]


class Rectangle(Shape):
    """A box around the target with a little air; its sides stop at the frame unless that hides a small target."""

    phrase: str = "the target in the highlighted box"
    width: tuple[float, float] = (1.5, 2.1)
    """Line width, drawn evenly from this range, in 1/336 of the frame's longer side."""
    air: float = 1.0
    """Between the target and the line with its rim, in 1/336 of the frame's longer side."""
    enough_hidden: float = 0.1
    """Share of the target that a box held inside the frame may cover."""

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
        ink = Ink(target)
        off_px = width_px / 2 + ink.casing_px
        x0, y0, x1, y1 = target.box_xyxy + np.array([-1, -1, 1, 1]) * (off_px + self.air * target.scale)
        open_path = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        held_path = np.clip(open_path, off_px, target.size_wh - off_px)
        marks = [ink.line(held_path, width_px, closed=True)]
        if target.inside_frame(spaced(open_path, target.scale)).mean() > 0.2:
            marks.append(Ink(target).line(open_path, width_px, closed=True))
        least_hiding(marks, self.enough_hidden).paint(canvas, colour)
