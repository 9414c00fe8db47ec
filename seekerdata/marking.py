"""Marked: what a person drew and wrote on one frame of a video, and the row that it becomes. Nothing is read here.

The row is in the form of seekerdata/row.py, its mark in that of seekerdata/annotation.py.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from seekerdata.instance import encode_mask

Point = tuple[FiniteFloat, FiniteFloat]
Words = Annotated[str, Field(max_length=4000)]

MOST_POINTS = 5000
NOT_GIVEN = "not given"
"""The answer of a question that is only tried."""


class Marked(BaseModel):
    """One thing on one frame, how it is to be marked, and what is asked. Only the place must be there.

    Coordinates are pixels of the full upright frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_s: FiniteFloat = Field(ge=0)
    """The true time of the frame that was drawn on."""
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    """Two opposite corners, in any order."""
    outline: tuple[Point, ...] = Field(default=(), max_length=MOST_POINTS)
    """A closed line drawn by hand around the thing."""
    shape: Words
    """With which of the eight shapes it is marked."""
    tag: Words = ""
    question: Words = ""
    options: tuple[Words, ...] = Field(default=(), max_length=26)
    answer: Words = ""
    window: Point | None = None
    """Which stretch must be watched, in seconds; None: the time around the mark."""

    @model_validator(mode="after")
    def _drawn_once(self) -> "Marked":
        if (self.box is None) == (not self.outline):
            raise ValueError("a mark has a box or an outline")
        return self

    def filled(self) -> "Marked":
        """The same with something in every empty place, to be looked at before all is written."""
        answer = self.answer.strip() or (self.options[0] if self.options else NOT_GIVEN)
        written = {"tag": self.tag.strip() or "thing", "question": self.question.strip() or "What is this?"}
        return self.model_copy(update={**written, "answer": answer})

    def row(self, id: str, video: str, size_wh: tuple[int, int]) -> dict[str, Any]:
        """The raw question; whether it is a good one is for `read_row` to say.

        Args:
            id: what it is called among the rows of its file.
            video: the video's path in the folder of the videos.
            size_wh: the frame's size in pixels.
        """
        marks: dict[str, Any] = {"tag": " ".join(self.tag.split()), "unique": True, "shape": self.shape}
        if self.window is not None:
            marks["window"] = {"start": self.window[0], "end": self.window[1]}
        if self.box is not None:
            marks["box"] = {"time": self.time_s, "xyxy": _corners(self.box, size_wh)}
        else:
            marks["mask"] = {"time": self.time_s, "mask": encode_mask(outline_mask(self.outline, size_wh))}
        options = [option.strip() for option in self.options if option.strip()]
        asked = {"question": self.question.strip(), "options": options, "answer": self.answer.strip()}
        return {"id": id, "video": video, **asked, "annotations": marks}


def outline_mask(outline: tuple[Point, ...], size_wh: tuple[int, int]) -> np.ndarray:
    """The mask (H, W bool) of what a closed line goes around, the line's own pixels included; what lies outside of the
    frame is cut off."""
    import cv2

    width, height = size_wh
    mask = np.zeros((height, width), np.uint8)
    if len(outline) >= 3:
        inside = np.clip(np.array(outline), 0, [width - 1, height - 1])
        cv2.fillPoly(mask, [np.round(inside).astype(np.int32)], 1)
    return mask.astype(bool)


def _corners(box: tuple[float, float, float, float], size_wh: tuple[int, int]) -> list[float]:
    """A box in whole pixels, its smaller corner first, cut to the frame."""
    across, down = sorted(box[0::2]), sorted(box[1::2])
    low = [max(0.0, float(round(v))) for v in (across[0], down[0])]
    high = [min(float(size), float(round(v))) for v, size in zip((across[1], down[1]), size_wh, strict=True)]
    return [*low, *high]
