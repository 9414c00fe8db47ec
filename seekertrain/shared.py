"""Shared: what the rollouts of a group have in common: decoded frames, pictures, their patches. Memory is bounded.

Equal pixels are one object, and it is never copied: what is made of a picture is found again by the picture.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import PIL.Image

from seekerdata.frame import FrameCache
from seekerdata.patches import grid_of, patchify

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BatchFeature, ProcessorMixin

KEPT_BYTES = 2**28
"""Pixels of decoded frames, and as many of pictures, that each process keeps."""
PATCH_BYTES = 2**29
"""Patches that each process keeps: float32, each picture twice, eight bytes for one of a frame."""

HELD = "held_mb"

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The last values by key, as many as fit into some bytes; one larger than that is made and not kept.

    Threads may share it: each waits while another's value is made, so only what is made quickly belongs here.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.held_bytes, self.made, self.found = max_bytes, 0, 0, 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[Value, int]]) -> Value:
        """The value of a key; `make` gives it and its bytes if it is not there."""
        with self._lock:
            if key in self._values:
                self.found += 1
                self._values.move_to_end(key)
                return self._values[key][0]
            self.made += 1
            value, size = make()
            if size > self.max_bytes:
                return value
            self._values[key] = value, size
            self.held_bytes += size
            while self.held_bytes > self.max_bytes:
                _, (_, dropped) = self._values.popitem(last=False)
                self.held_bytes -= dropped
            return value


class Shown(PIL.Image.Image):
    """A picture that a rollout is shown. A copy of a conversation holds the same one: TRL copies every prompt."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shown":
        return self


class Pictures:
    """Frames and pictures of all rollouts of a process: of equal pixels there is one picture."""

    def __init__(self, max_bytes: int = KEPT_BYTES) -> None:
        self.frames = FrameCache(max_bytes)
        self.kept: Kept[Shown] = Kept(max_bytes)

    def one(self, sha256: str, picture: PIL.Image.Image) -> Shown:
        """The picture of these pixels.

        Args:
            sha256: hash of its RGB bytes, as `Image` has it.
            picture: the picture, RGB.
        """

        def make() -> tuple[Shown, int]:
            picture.load()
            shown = Shown()
            shown.__dict__.update(picture.__dict__)
            return shown, _held_bytes(picture)

        return self.kept.get((sha256, picture.size), make)


def share_patches(processor: "ProcessorMixin", max_bytes: int = PATCH_BYTES) -> "Kept[Tensor]":
    """Let a processor cut each picture into patches once, as long as they fit; gives what is kept.

    The image processor becomes one of the same name and settings, so that it is saved as it was.
    """
    import torch
    from transformers import BatchFeature

    kept: Kept[Tensor] = Kept(max_bytes)
    stock = type(processor.image_processor)

    class Sharing(stock):  # type: ignore[valid-type,misc]
        def preprocess(self, images: Any, *_: Any, **settings: Any) -> "BatchFeature":
            pictures = _flat(images)
            for key, value in settings.items():
                if key != "return_tensors" and value is not None and getattr(self, key, value) != value:
                    raise TypeError(f"patches are shared by pictures that are cut alike, not with {key}={value}")
            patches = [self._patches(picture) for picture in pictures]
            grids = torch.tensor([grid_of(picture.size, self) for picture in pictures])
            return BatchFeature({"pixel_values": torch.cat(patches), "image_grid_thw": grids})

        def _patches(self, picture: PIL.Image.Image) -> "Tensor":
            def make() -> "tuple[tuple[PIL.Image.Image, Tensor], int]":
                patches = patchify([picture], self)
                return (picture, patches), patches.nbytes + _held_bytes(
                    picture
                )  # with it, so that its id stays its own

            return kept.get(id(picture), make)[1]

    Sharing.__name__, Sharing.__qualname__, Sharing.__module__ = stock.__name__, stock.__qualname__, stock.__module__
    processor.image_processor.__class__ = Sharing
    return kept


def _held_bytes(picture: PIL.Image.Image) -> int:
    return 4 * picture.width * picture.height  # pillow holds RGB in four bytes a pixel


def counts(pictures: Pictures, patches: "Kept[Any]") -> dict[str, float]:
    """What is shared so far: pictures cut into patches and found cut, frames decoded; and the most that is held, MB."""
    held = pictures.frames.held_bytes + pictures.kept.held_bytes + patches.held_bytes
    made = {"preprocessed": patches.made, "reused": patches.found, "decoded": pictures.frames.misses}
    return {**made, HELD: held / 1e6}


def _flat(images: Any) -> list[PIL.Image.Image]:
    """Pictures of one conversation or of many, in order."""
    if isinstance(images, Sequence):
        return [picture for some in images for picture in _flat(some)]
    return [] if images is None else [images]
