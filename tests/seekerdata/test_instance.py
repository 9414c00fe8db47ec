"""Masks go there and back; what is not a mask is refused by name."""

from typing import Any

import numpy as np
import pytest

from seekerdata.errors import ItemError
from seekerdata.instance import Instance, Sighting, decode_mask, encode_mask, mask_box


def test_mask_round_trip() -> None:
    mask = np.zeros((31, 57), bool)
    mask[4:20, 7:33] = True
    mask[10, 10] = False
    rle = encode_mask(mask)
    assert rle["size"] == [31, 57] and isinstance(rle["counts"], str)
    assert (decode_mask(rle) == mask).all()
    assert mask_box(mask) == (7, 4, 33, 20)
    assert mask_box(np.zeros((3, 3), bool)) is None


def test_any_mask_comes_back() -> None:
    rng = np.random.default_rng(0)
    for density in (0, 0.01, 0.5, 0.99, 1):
        mask = rng.random((23, 41)) < density
        assert (decode_mask(encode_mask(mask)) == mask).all()


def test_uncompressed_runs_are_read() -> None:
    assert decode_mask({"size": [2, 2], "counts": [1, 2, 1]}).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    "rle",
    [
        {},
        {"size": [2, 2]},
        {"size": "big", "counts": "0"},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": None},
        {"size": [2, 2], "counts": "é"},
        {"size": [2, 2], "counts": "zzzzzzzzzz"},
        {"size": [-2, 2], "counts": [0]},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": [-4, 8]},
        {"size": [2, 2], "counts": "P"},
    ],
)
def test_broken_masks_are_refused(rle: dict[str, Any]) -> None:
    with pytest.raises(ItemError, match="mask is not a COCO RLE"):
        decode_mask(rle)


def test_nearest_sighting() -> None:
    instance = Instance(tag="x", sightings=tuple(Sighting(time_s=t, box_xyxy=(0, 0, 1, 1)) for t in (1, 4, 9)))
    found = instance.nearest(6)
    assert found is not None and found.time_s == 4
    assert Instance(tag="x").nearest(1) is None
