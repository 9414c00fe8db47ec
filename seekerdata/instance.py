"""Instance: one thing followed through a video. Boxes and masks are in pixels of the full, upright frame.

Masks are COCO run-length encodings: `{"size": [height, width], "counts": str}`. Ends with the Segmenter contract.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seekerdata.errors import ItemError
from seekerdata.plugin import Plugin

if TYPE_CHECKING:
    from seekerdata.sample import Sample
    from seekerdata.video import Video

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in pixels; the maxima are exclusive."""


class Sighting(BaseModel):
    """Where an instance is at one time. `mask` is a COCO RLE or None when only the box is known."""

    model_config = ConfigDict(frozen=True)

    time_s: float
    box_xyxy: Box
    mask: dict[str, Any] | None = None
    mask_from: str = "given"
    """How the mask was made: it was given, or a segmenter's word for it."""


class Instance(BaseModel):
    """One thing with a short noun phrase for it (`tag`, as given to a text-prompted segmenter) and its sightings
    in order of time."""

    model_config = ConfigDict(frozen=True)

    tag: str
    sightings: tuple[Sighting, ...] = Field(default=())

    def nearest(self, time_s: float) -> Sighting | None:
        """The sighting closest in time, None if there is none."""
        return min(self.sightings, key=lambda s: abs(s.time_s - time_s), default=None)


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """A bool or 0/1 mask (H, W) as COCO RLE with `counts` as text."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_mask(rle: dict[str, Any]) -> np.ndarray:
    """The bool mask (H, W) of a COCO RLE, compressed (text) or not (list of runs).

    Raises:
        ItemError: `bad_mask` when the encoding does not decode or does not fill its size.
    """
    from pycocotools import mask as coco

    try:
        height, width = (int(n) for n in rle["size"])
        counts = rle["counts"]
        runs = counts if isinstance(counts, list) else _runs(counts)
        if height < 1 or width < 1 or min(runs, default=0) < 0 or sum(runs) != height * width:
            raise ValueError(f"its counts do not fill {width}x{height}")
        mask = coco.decode(coco.frPyObjects({"size": [height, width], "counts": runs}, height, width))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ItemError("bad_mask", f"mask is not a COCO RLE: {error}") from None
    return mask.astype(bool)


def _runs(text: str) -> list[int]:
    """Run lengths of a compressed COCO encoding: base-32 digits, each run as the difference to the one two before.

    pycocotools does not check them: runs that do not fill the frame leave memory as it was.
    """
    runs: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            digit = ord(text[at]) - 48
            if not 0 <= digit < 64:
                raise ValueError(f"'{text[at]}' in the counts")
            value |= (digit & 31) << shift
            at, shift, more = at + 1, shift + 5, bool(digit & 32)
        if digit & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def mask_box(mask: np.ndarray) -> Box | None:
    """The tight box of a mask (H, W), None if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


class Segmenter(Plugin):
    """Contract of `seekerdata/segmenters/<name>.py`: finds a sample's target in its video."""

    follows: ClassVar[bool] = False
    """True if a model makes the masks by following the target, so that a leap from one second to the next is a slip."""

    def frames(self, video_s: float | None) -> int:
        """Frames of a video so long that its weights look at, at most; 0 for a segmenter without weights."""
        return 0

    def segment(self, sample: "Sample", video: "Video") -> Instance:
        """The target with a mask for every sighting.

        Raises:
            ItemError: nothing can be found (`nothing_found`, `several_found`, `no_annotation`).
        """
        raise NotImplementedError
