"""TrainerSettings: keys of a TRL or peft configuration as a recipe gives them, checked by the class that takes them.

What a recipe does not set is the class's own default, or one of ours where a run needs it; some keys are ours alone.
"""

import dataclasses
import typing
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from seekerdata.errors import SeekerError
from seekerdata.plugin import PluginSettingsError

OURS = {
    "output_dir": "a run's checkpoints lie in its folder, 'out'",
    "resume_from_checkpoint": "the same command goes on from the last whole checkpoint",
    "seed": "use the recipe's own 'seed'",
    "data_seed": "use the recipe's own 'seed'",
    "max_length": "use the recipe's own 'max_length', which never cuts pictures from their tokens",
    "packing": "use the recipe's own 'packing'",
    "model_init_kwargs": "use the recipe's own 'model'",
    "trust_remote_code": "only the families named in the documentation can be trained",
    "hub_token": "log in with `hf auth login`; a token never stands in a file",
    "label_names": "the labels are made by our collator",
    "remove_unused_columns": "our collator needs every column",
    "chat_template_path": "the template comes with the model and is checked",
    "prediction_loss_only": "evaluation takes the loss only; 'rollouts' play",
    "disable_tqdm": "the command line draws the progress",
    "include_num_input_tokens_seen": "tokens are always counted",
    "train_sampling_strategy": "rows of like length always go together",
}
"""Keys that a recipe may not set in `trainer`, whatever is trained, each with why."""
OURS_IN_SFT = OURS | dict.fromkeys(
    (
        *("packing_strategy", "padding_free", "eval_packing", "assistant_only_loss", "completion_only_loss"),
        *("dataset_kwargs", "dataset_text_field", "dataset_num_proc", "length_column_name", "truncation_mode"),
        *("shuffle_dataset", "pad_to_multiple_of", "eos_token", "pad_token"),
    ),
    "our collator tokenises, masks and pads",
)
OURS_IN_RL = (
    OURS
    | dict.fromkeys(
        ("log_completions", "log_multimodal", "log_unique_prompts", "num_completions_to_print"),
        "the run's own log shows rollouts; TRL's cannot hold pictures of tools",
    )
    | {
        "max_tool_calling_iterations": "use the recipe's own 'play.max_rounds'",
        "generation_kwargs": "tokens that stand for pictures are never sampled; 'turn_tokens' limits a turn",
        "reward_weights": "use the recipe's own 'rewards'",
        "chat_template_kwargs": "prompts are those of sft and of evaluation",
        "shuffle_dataset": "the order depends on the seed alone",
    }
    | dict.fromkeys(
        ("use_transformers_continuous_batching", "transformers_continuous_batching_config"),
        "it would write turns without having seen the pictures",
    )
)

REPORTS = ("tensorboard", "wandb", "trackio")
"""Where losses may be sent, by the names of the packages."""


def checked(kind: type, values: Mapping[str, Any], ours: Mapping[str, str]) -> dict[str, Any]:
    """A recipe's keys for `kind`, numbers read as numbers (YAML takes `1e-5` for a word).

    Args:
        kind: a dataclass such as `trl.SFTConfig` or `peft.LoraConfig`.
        values: what the recipe gives.
        ours: keys that it may not give, each with why.

    Raises:
        PluginSettingsError: unknown keys and values of another type, as pydantic lists them.
        ValueError: a key is ours.
    """
    if taken := sorted(ours.keys() & values.keys()):
        raise ValueError("; ".join(f"{key} is not for a recipe to set here: {ours[key]}" for key in taken))
    model = _form(kind, frozenset(ours))
    try:
        read = model.model_validate(dict(values))
    except ValidationError as error:
        raise PluginSettingsError(error, list(model.model_fields)) from None
    return {name: getattr(read, name) for name in values}


@cache
def _form(kind: type, ours: frozenset[str]) -> type[BaseModel]:
    """A model with the fields of a dataclass that are not ours; TRL's have over a hundred, so it is made once."""
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind) if f.init and f.name not in ours]
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())
    fields: dict[str, Any] = {name: (hints[name], None) for name in names}
    return create_model(kind.__name__, __config__=config, **fields)


def build(kind: type, where: str, values: Mapping[str, Any]) -> Any:
    """An instance of a configuration class; what it refuses is the recipe's mistake.

    Raises:
        SeekerError: one line, with the recipe's key `where`.
    """
    try:
        return kind(**values)
    except (ValueError, TypeError, ImportError) as error:
        raise SeekerError(f"{where}: {' '.join(str(error).split())}") from None


@contextmanager
def older_names() -> Iterator[None]:
    """Without the warnings that TRL and peft call transformers by names that its next major release will not know.

    They do so for the older releases that they support; who trains can do nothing about it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)
        yield


def check_machine(values: Mapping[str, Any], attention: str) -> None:
    """What only a GPU can do is refused where there is none, before any weight is read.

    Raises:
        SeekerError: the key that asks for it.
    """
    import importlib.util

    import torch

    gpu = torch.accelerator.is_available() and not values.get("use_cpu")
    for key in ("bf16", "fp16", "tf32", "bf16_full_eval", "fp16_full_eval"):
        if values.get(key) and not gpu and not values.get("use_cpu"):
            raise SeekerError(f"trainer.{key}: there is no GPU here; leave it out, or set trainer.use_cpu")
    wanted = values.get("report_to") or ()
    for name in {wanted} if isinstance(wanted, str) else wanted:
        if name in REPORTS and importlib.util.find_spec(name) is None:
            raise SeekerError(f"trainer.report_to: {name} is not installed; install it, or report_to: none")
    if attention.startswith("flash"):
        if not gpu:
            raise SeekerError(f"model.attention: {attention} needs a GPU and there is none here; use sdpa")
        if importlib.util.find_spec("flash_attn") is None and importlib.util.find_spec("kernels") is None:
            raise SeekerError(f"model.attention: {attention} needs the package flash_attn (or kernels); or use sdpa")


def without_gpu() -> dict[str, Any]:
    """What lets a configuration be built that is only looked at, on a machine that could not train it."""
    import torch

    return {} if torch.accelerator.is_available() else {"use_cpu": True, "tf32": None}


def for_machine(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe leaves open and the machine decides: bf16 and pinned memory where there is a GPU."""
    import torch

    gpu = torch.accelerator.is_available() and not values.get("use_cpu")
    bf16 = gpu and not values.get("fp16") and (not torch.cuda.is_available() or torch.cuda.is_bf16_supported())
    return {"bf16": bf16, "dataloader_pin_memory": gpu, **values}
