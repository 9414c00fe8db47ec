"""Placeholders: the tokens that stand for pictures. A picture has one run of them, one token for each of its features.

A sample whose tokens and pictures do not agree is `Blind`: nothing is generated from it and nothing trained on it.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from seekerdata.patches import grid_of

Ids = Sequence[int]


class Blind(AssertionError):
    """A sample's pictures and its tokens do not agree: it would be trained on what it did not see."""


def check_features(name: str, ids: Ids, image_id: int, pictures: Sequence[Any], settings: Any) -> None:
    """Whether a sample has as many image tokens as its pictures have features.

    Args:
        name: of the sample.
        ids: its tokens.
        image_id: the image token.
        pictures: in order.
        settings: the processor's `image_processor`.

    Raises:
        Blind: it has not.
    """
    grids = [grid_of(picture.size, settings) for picture in pictures]
    features = sum(rows * columns for _, rows, columns in grids) // settings.merge_size**2
    tokens = sum(token == image_id for token in ids)
    if tokens != features:
        raise Blind(f"{name}: {tokens} image tokens for {features} features of {len(pictures)} pictures")


def collapsed(name: str, ids: Ids, image_id: int, pictures: int) -> list[int]:
    """A sample's tokens with one image token for each picture, as vLLM takes them beside the pictures themselves.

    Raises:
        Blind: it has not one run of image tokens for each picture.
    """
    found: list[int] = []
    runs = 0
    for token, run in groupby(ids):
        runs += token == image_id
        found += [token] if token == image_id else run
    if runs != pictures:
        raise Blind(f"{name}: {runs} runs of image tokens for {pictures} pictures")
    return found


def check_same(name: str, found: Ids, wanted: Ids) -> None:
    """Whether a back end generated from the very tokens that will be trained on.

    Raises:
        Blind: it did not; the text says where they first differ.
    """
    if list(found) == list(wanted):
        return
    both = enumerate(zip(found, wanted, strict=False))
    place = next((n for n, (one, other) in both if one != other), min(len(found), len(wanted)))
    told = [str(ids[place]) if place < len(ids) else "nothing" for ids in (found, wanted)]
    raise Blind(
        f"{name}: vLLM wrote after other tokens than are trained on, from token {place} on: {told[0]} in place of "
        f"{told[1]} ({len(found)} and {len(wanted)} tokens)"
    )
