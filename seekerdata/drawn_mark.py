"""DrawnMark: a mark as it was drawn on a frame, noted so that it can be drawn again: to the same pixels, or not at all.

So a row whose licence forbids to publish pictures loses nothing for who has its video.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from seekerdata.colour import contrasting_colour
from seekerdata.errors import ItemError
from seekerdata.instance import decode_mask
from seekerdata.observation import PromptFrame, picture_hash
from seekerdata.plugin import describe, make
from seekerdata.video import Video
from seekerdata.visual_prompt import COLOURS, Shape
from seekerdata.workspace import encode_jpeg


class DrawnMark(NamedTuple):
    """A marked frame and how it came about."""

    rgb: np.ndarray
    """(H, W, 3) uint8."""
    colour: str
    number: int
    """The digit that a numbered mark shows."""
    how: dict[str, Any]
    """The shape with its settings, the key of its draw, the hash of the pixels."""


def draw_mark(rgb: np.ndarray, mask: np.ndarray, shape: Shape, key: str) -> DrawnMark:
    """Draw a mark on a frame.

    Args:
        rgb: (H, W, 3) uint8; stays as it is.
        mask: (H, W) bool, what is marked.
        shape: with which mark.
        key: hex digits; decides all that may vary. The same arguments give the same pixels.
    """
    rng = np.random.default_rng(int(key, 16))
    colour, number = contrasting_colour(rgb, mask, rng), int(rng.integers(1, 10))
    canvas = rgb.copy()
    shape.draw(canvas, mask, COLOURS[colour], rng, number)
    how = {"shape": describe(shape), "key": key, "pixels": picture_hash(PIL.Image.fromarray(canvas))}
    return DrawnMark(canvas, colour, number, how)


def prompt_frame(row: Mapping[str, Any], video: Video) -> PromptFrame:
    """The marked frame of a dataset's row: its own, or, where a licence kept it out, drawn again on the video's.

    Args:
        row: with `image` as a picture or None, `frame_time_s`, and what `redrawn` reads.
        video: of the row.

    Raises:
        ItemError: see `redrawn`.
    """
    if row["image"] is not None:
        return PromptFrame(row["image"].convert("RGB"), row["frame_time_s"])
    with PIL.Image.open(io.BytesIO(redrawn(row, video))) as picture:  # as a build keeps it, and as a model sees it
        return PromptFrame(picture.convert("RGB"), row["frame_time_s"])


def redrawn(row: Mapping[str, Any], video: Video) -> bytes:
    """The JPEG file of a row's marked frame, drawn anew.

    Args:
        row: with `id`, `frame_time_s`, `mask`, `drawn`.
        video: of the row.

    Raises:
        ItemError: `withheld` if the row does not say how it was drawn; `not_reproduced` if other pixels come of it;
            a video that cannot be read raises its own.
    """
    if not row["drawn"]:
        raise ItemError("withheld", f"{row['id']}: published without pictures or how to draw its mark")
    how = row["drawn"]
    (frame,) = video.frames([row["frame_time_s"]])
    drawn = draw_mark(frame.rgb, decode_mask(row["mask"]), make("shapes", how["shape"]), how["key"])
    if drawn.how["pixels"] != how["pixels"]:
        place = f"{row['id']}: its mark on the frame of {row['frame_time_s']} s"
        raise ItemError("not_reproduced", f"{place}: pixels {drawn.how['pixels']}, recorded {how['pixels']}")
    return encode_jpeg(drawn.rgb)
