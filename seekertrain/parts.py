"""Part: what a Qwen-VL model is made of (vision tower, projector, language model), to freeze and to count.

A frozen part is never trained, by full weights or by adapters.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from seekerdata.errors import SeekerError

if TYPE_CHECKING:
    from torch.nn import Module

Part = Literal["vision", "projector", "language"]

PATTERNS: Mapping[str, str] = {
    "projector": r"(?:.*\.)?visual\.(?:merger|deepstack_merger_list)(?:\..*)?",
    "vision": r"(?:.*\.)?visual\.(?!merger|deepstack_merger_list).*",
    "language": r"(?:.*\.)?(?:language_model|lm_head)(?:\..*)?",
}
"""Names of modules and parameters, by part: the same in Qwen2-VL, Qwen2.5-VL and Qwen3-VL."""


def part_of(name: str) -> str:
    """The part that a parameter belongs to; empty for one of no part that is known."""
    return next((part for part, pattern in PATTERNS.items() if re.fullmatch(pattern, name)), "")


def freeze(model: "Module", parts: Sequence[str]) -> None:
    """Freeze the parameters of some parts.

    Raises:
        SeekerError: nothing is left to train, or the model has other parts.
    """
    found = {part_of(name) for name, _ in model.named_parameters()}
    if lacks := [part for part in parts if part not in found]:
        raise SeekerError(f"freeze: the model has no part {', '.join(lacks)}")
    for name, parameter in model.named_parameters():
        if part_of(name) in parts:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise SeekerError("freeze: nothing is left to train")


def lora_config(settings: Mapping[str, Any], frozen: Sequence[str]) -> Any:
    """peft's configuration: adapters on every linear layer of the parts that are not frozen, unless told otherwise.

    Raises:
        SeekerError: peft refuses the settings.
    """
    from peft import LoraConfig

    from seekertrain.trainer_settings import build

    ours: dict[str, Any] = {"task_type": "CAUSAL_LM"}
    if "target_modules" not in settings:
        ours["target_modules"] = "all-linear"
    if frozen and "exclude_modules" not in settings:
        ours["exclude_modules"] = "|".join(PATTERNS[part] for part in frozen)
    return build(LoraConfig, "lora", ours | dict(settings))


def parameters(model: "Module") -> dict[str, dict[str, int]]:
    """Numbers of parameters by part, all and those that are trained; a shared one counts once."""
    counts: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        part = part_of(name) or "other"
        entry = counts.setdefault(part, {"all": 0, "trained": 0})
        size = getattr(parameter, "ds_numel", parameter.numel())  # ZeRO-3 keeps a shard only
        entry["all"] += size
        entry["trained"] += size * parameter.requires_grad
    return counts
