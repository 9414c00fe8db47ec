"""VisionModel: open weights in memory, loaded once per process and complete or not at all; pictures as their input.

Through transformers without torchvision: the models' own processors need it, so pictures are prepared here.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seekerdata.errors import SeekerError
from seekerdata.hub import is_place, reach_hub

Dtype = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 on a GPU and float32 on the CPU."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the channels for SAM 2 and Grounding DINO."""

CENTRED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and deviation of the channels for SAM 3."""

INSTALL = "pip install 'videoseeker-toolkit[weights]'"

UNUSABLE = (OSError, ValueError, KeyError, RuntimeError)
"""What transformers raises for weights that it cannot find, read or fit into the model."""


@dataclass(frozen=True)
class VisionModel:
    """A model of transformers with the device and the number type it runs in."""

    model: Any
    device: str
    dtype: Any

    def pixels(self, rgbs: Sequence[np.ndarray], size_hw: tuple[int, int], channels: Any = IMAGENET) -> Any:
        """Pictures (uint8 H, W, 3, equal sizes) as a tensor (N, 3, height, width): resized, scaled, normalised."""
        import torch

        batch = torch.from_numpy(np.stack(rgbs)).to(self.device).permute(0, 3, 1, 2).float()
        batch = torch.nn.functional.interpolate(batch, size_hw, mode="bilinear", antialias=True)
        batch = batch.round().clamp(0, 255) / 255  # the processors resize whole numbers
        mean, deviation = (torch.tensor(c, device=self.device).view(1, 3, 1, 1) for c in channels)
        return ((batch - mean) / deviation).to(self.dtype)


def full_size_mask(logits: Any, size_hw: tuple[int, int]) -> np.ndarray:
    """A mask as a model gives it (…, h, w: above 0 is inside) as bool (H, W) of the full frame."""
    import torch

    logits = logits.float().reshape(1, 1, *logits.shape[-2:])
    large = torch.nn.functional.interpolate(logits, size_hw, mode="bilinear", align_corners=False)
    return (large[0, 0] > 0).cpu().numpy()


def load_model(kind: str, weights: str, device: str, dtype: Dtype) -> VisionModel:
    """The transformers class `kind` with weights from a folder or the hub (`owner/name` or `owner/name@revision`).

    Raises:
        SeekerError: packages or weights are not there, or the weights are not of this kind; says what to do.
    """
    return _model(kind, weights, named_device(device), dtype)


@lru_cache(maxsize=4)
def load_tokenizer(weights: str) -> Any:
    """The tokenizer beside the weights. Raises SeekerError like `load_model`."""
    return _from_pretrained("AutoTokenizer", weights)


def import_torch() -> Any:
    """The module torch, once transformers is known to be there too. Raises SeekerError."""
    check_installed()
    import torch

    return torch


def check_installed(*weights: str) -> None:
    """Raises SeekerError if torch or transformers or a folder of weights is not there; loads nothing."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise SeekerError(f"open weights need {package}: {INSTALL}")
    for place in weights:
        if is_place(place) and not Path(place).expanduser().is_dir():
            raise SeekerError(f"no weights in {place}: there is no such folder")


def named_device(device: str) -> str:
    """What `auto` stands for here, or the device itself. Raises SeekerError if it is a GPU and there is none."""
    torch = import_torch()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SeekerError(f"device: {device}: torch {torch.__version__} sees no GPU here; use auto or cpu")
    return device


def low_precision(dtype: Dtype, device: str) -> Any:
    """A context in which a float32 model computes in bfloat16 where it can, if that is the number type asked for."""
    torch = import_torch()
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=_is_low(dtype, device))


def on_device(model: Any, device: str, weights: str) -> Any:
    """The model on its device, ready to be asked. Raises SeekerError if it does not fit."""
    try:
        return model.to(device).eval()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        hint = "take a smaller model or another device"
        raise SeekerError(f"{weights} does not fit into the memory of {device} ({first_line(error)}); {hint}") from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, on a GPU or on the CPU, or numpy found no memory."""
    told = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(words in str(error) for words in told)


def _is_low(dtype: Dtype, device: str) -> bool:
    return dtype == "bfloat16" or (dtype == "auto" and device != "cpu")


@lru_cache(maxsize=4)
def _model(kind: str, weights: str, device: str, dtype: Dtype) -> VisionModel:
    torch = import_torch()
    number = torch.bfloat16 if _is_low(dtype, device) else torch.float32
    model, info = _from_pretrained(kind, weights, output_loading_info=True, dtype=number)
    check_complete(model, info["missing_keys"], weights, kind, others=len(info["mismatched_keys"]))
    return VisionModel(on_device(model, device, weights), device, number)


def check_complete(model: Any, missing: Iterable[str], weights: str, kind: str, others: int = 0) -> None:
    """Raises SeekerError if the weights lack a parameter of the model, or `others` that do not fit were counted."""
    lacking = len(set(missing) & {name for name, _ in model.named_parameters()}) + others
    if lacking:
        lacks = f"{lacking} of its parts are missing or have another size"
        raise SeekerError(f"{weights} does not hold the weights of a {kind}: {lacks}")


def _from_pretrained(kind: str, weights: str, **settings: Any) -> Any:
    check_installed(weights)
    import transformers

    folder = Path(weights).expanduser()
    name, _, revision = (str(folder), "", "") if folder.is_dir() else weights.partition("@")
    if revision:
        settings["revision"] = revision
    try:
        made_by = getattr(transformers, kind)
    except (ImportError, RuntimeError, AttributeError) as error:
        hint = "a torchvision that does not fit torch does this: uninstall it or install the one that fits"
        raise SeekerError(
            f"transformers {transformers.__version__} has no {kind} ({first_line(error)}); {hint}"
        ) from None
    if not folder.is_dir():
        with suppress(*UNUSABLE):  # what was downloaded once needs no network, and stays the same for all of a run
            return made_by.from_pretrained(name, local_files_only=True, **settings)
        reach_hub(name, _how_to_get(name))
    try:
        return made_by.from_pretrained(name, **settings)
    except UNUSABLE as error:
        raise SeekerError(f"{kind} cannot be loaded from {weights}: {first_line(error)}; {_how_to_get(name)}") from None


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _how_to_get(name: str) -> str:
    if Path(name).is_dir():
        return "the folder must hold config.json, model.safetensors and the tokenizer's files, as on the hub"
    return f"`hf download {name}` fetches it (some need their licence accepted and `hf auth login`), or name a folder"
