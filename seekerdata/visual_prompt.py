"""VisualPrompt: one shape marking one instance on one frame. The raw frame is kept, so it can be drawn again.

Ends with the Shape contract, which every file of `seekerdata/shapes/` fulfils.
"""

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seekerdata.instance import Box
from seekerdata.plugin import Plugin

SHAPES = (
    "rectangle",
    "mask_contour",
    "ellipse",
    "triangle",
    "scribble",
    "point",
    "arrow",
    "set_of_mark",
)
"""The eight shapes of VideoSeeker and V2P-Bench."""

COLOURS = {
    "red": (255, 0, 0),
    "lime": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "fuchsia": (255, 0, 255),
    "aqua": (0, 255, 255),
    "orange": (255, 165, 0),
    "purple": (128, 0, 128),
    "gold": (255, 215, 0),
}
"""RGB of the colours that ViP-LLaVA draws with, by their CSS names."""


class VisualPrompt(BaseModel):
    """One rendered mark. `image` and `raw_image` are paths relative to the run folder, named by content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_s: float
    """True presentation time of the marked frame."""
    shape: str
    colour: str
    phrase: str
    """How the question calls the target: "the target in the highlighted box"."""
    box_xyxy: Box
    mask: dict[str, Any] | None = None
    number: int | None = None
    """The digit that set_of_mark draws."""
    image: str = ""
    raw_image: str = ""
    drawn: dict[str, Any] = Field(default_factory=dict)
    """How it was drawn, for `seekerdata.drawn_mark`; empty if this project did not draw it."""


class Shape(Plugin):
    """Contract of `seekerdata/shapes/<name>.py`: draws one mark. The file name is the shape's name."""

    phrase: str = ""
    """How a question refers to a target under this mark."""

    def draw(
        self,
        canvas: np.ndarray,
        mask: np.ndarray,
        colour: tuple[int, int, int],
        rng: np.random.Generator,
        number: int = 1,
    ) -> None:
        """Draw onto `canvas` (H, W, 3 uint8 RGB, changed in place) the mark for `mask` (H, W bool, not empty).

        All lengths scale with the frame (ViP-LLaVA: max(H, W) / 336); `rng` decides what may vary; the same
        arguments give the same pixels on every OpenCV version. The target stays visible. Of a mask in several parts
        the largest is marked.

        Raises:
            ValueError: the mask is empty, does not fit the canvas, or `number` is negative.
        """
        raise NotImplementedError
