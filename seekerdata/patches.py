"""Patches: pictures as a model's vision tower takes them, made for a whole batch in one pass.

Equal to what transformers' own image processor gives; the number of patches follows from a picture's size alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from seekerdata.errors import ItemError

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]


def grid_of(size_wh: Size, settings: Any) -> tuple[int, int, int]:
    """How many patches a picture becomes, as (1, rows, columns).

    Args:
        size_wh: width and height in pixels.
        settings: the processor's `image_processor`.

    Raises:
        ItemError: `bad_image` for a picture more than 200 times longer than wide, which the model's family refuses.
    """
    height, width = _shown_hw(size_wh, settings)
    return 1, height // settings.patch_size, width // settings.patch_size


def patchify(pictures: Sequence[PIL.Image.Image], settings: Any) -> "Tensor":
    """Pictures as one float32 tensor (patches, channels x time x height x width), in order.

    Pictures of one size are cut together as bytes and become floats only in the result, which is written once.
    """
    import torch

    sizes = [_shown_hw(picture.size, settings) for picture in pictures]
    counts = [height * width // settings.patch_size**2 for height, width in sizes]
    starts = np.cumsum([0, *counts])
    depth, side = settings.temporal_patch_size, settings.patch_size**2
    out = torch.empty(int(starts[-1]), 3, depth, side, dtype=torch.float32)
    factor, offset = _scale(settings)
    for hw in dict.fromkeys(sizes):
        places = [n for n, size in enumerate(sizes) if size == hw]
        cut = _cut(np.stack([_resized(pictures[n], hw, settings) for n in places]), settings)
        for place, part in zip(places, cut, strict=True):
            first = out[starts[place] : starts[place + 1], :, 0]
            torch.mul(part, factor, out=first).add_(offset)
            for layer in range(1, depth):
                out[starts[place] : starts[place + 1], :, layer] = first
    return out.reshape(int(starts[-1]), -1)


def _scale(settings: Any) -> "tuple[Tensor, Tensor]":
    """What a byte is multiplied with and what is added, for each channel."""
    import torch

    shape = (3, 1)
    factor = torch.full(shape, settings.rescale_factor if settings.do_rescale else 1.0, dtype=torch.float64)
    offset = torch.zeros(shape, dtype=torch.float64)
    if settings.do_normalize:
        mean, std = (torch.tensor(values, dtype=torch.float64).reshape(shape) for values in _statistics(settings))
        factor, offset = factor / std, -mean / std
    return factor.float(), offset.float()


def _statistics(settings: Any) -> tuple[list[float], list[float]]:
    return list(settings.image_mean), list(settings.image_std)


def _cut(pixels: np.ndarray, settings: Any) -> "Tensor":
    """Bytes (n, height, width, 3) as (n, patches, 3, pixels of a patch): patches that are merged stand together."""
    import torch

    count, height, width, _ = pixels.shape
    patch, merge = settings.patch_size, settings.merge_size
    rows, columns = height // patch // merge, width // patch // merge
    blocks = torch.from_numpy(pixels).reshape(count, rows, merge, patch, columns, merge, patch, 3)
    return blocks.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(count, rows * columns * merge**2, 3, patch * patch)


def _shown_hw(size_wh: Size, settings: Any) -> Size:
    """The height and width that a model of this family sees a picture in."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    width, height = size_wh
    if not settings.do_resize:
        return height, width
    limits = settings.size
    try:
        shown: Size = smart_resize(
            height,
            width,
            factor=settings.patch_size * settings.merge_size,
            min_pixels=limits["shortest_edge"],
            max_pixels=limits["longest_edge"],
        )
    except ValueError as error:
        raise ItemError("bad_image", f"a picture of {width} x {height} pixels: {error}") from None
    return shown


def _resized(picture: PIL.Image.Image, hw: Size, settings: Any) -> np.ndarray:
    """RGB bytes (height, width, 3); scaled by the image processor's own means, so that both scale alike."""
    picture = picture.convert("RGB")
    if picture.size == hw[::-1]:
        return np.asarray(picture)
    import torch
    from transformers.image_utils import SizeDict

    size = SizeDict(shortest_edge=settings.size["shortest_edge"], longest_edge=settings.size["longest_edge"])
    pixels: Any = np.asarray(picture).transpose(2, 0, 1)
    if not type(settings).__name__.endswith("Pil"):
        pixels = torch.from_numpy(pixels.copy())
    factor = settings.patch_size * settings.merge_size
    scaled = settings.resize(pixels, size=size, resample=settings.resample, factor=factor)
    return np.ascontiguousarray(np.asarray(scaled).transpose(1, 2, 0))
