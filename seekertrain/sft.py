"""sft: the supervised cold start: TRL's SFTTrainer over the `sft` rows of a dataset, with our own batches.

Loss on the model's own turns only. The same command again goes on from the last whole checkpoint.
"""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from seekerdata.errors import SeekerError
from seekerdata.plugin import spelled_out
from seekerdata.recipe import Recipe
from seekerdata.rollout import RolloutSettings
from seekerdata.workspace import write_atomically
from seekertrain.checkpoints import check_room, last_whole, room_for_checkpoints
from seekertrain.parts import Part, freeze, lora_config, parameters
from seekertrain.rows import Data, Rows, load, measured, parted, questions
from seekertrain.trainer_settings import OURS_IN_SFT, checked

if TYPE_CHECKING:
    from seekertrain.batch import Encoder

Tell = Callable[[str], None]

TRAINER = {"report_to": "tensorboard", "save_total_limit": 2}
"""What a run sets in TRL's configuration where the recipe does not."""


class Model(BaseModel):
    """Which weights are trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """A hub id or a folder, of the Qwen3-VL or Qwen2.5-VL family."""
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """What the weights are kept in; `trainer.bf16` computes in bfloat16 and keeps them."""
    attention: str = "sdpa"
    """sdpa, eager, flash_attention_2, or a kernel of the hub."""


class Rollouts(BaseModel):
    """Free plays of held-out questions while training goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(default=0, ge=0)
    """Optimiser steps between plays; 0: none."""
    samples: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=1024, ge=1)
    """Tokens of one turn."""
    play: RolloutSettings = RolloutSettings()
    """What is shown first and how often one may look; as the rows were made."""


class SftRecipe(Recipe):
    """What `seekertrain sft` trains, on what, and how."""

    name: str
    out: Path
    """The run's folder: checkpoints, logs, plays, and at the end `model/`."""
    seed: int = 0
    model: Annotated[Model, BeforeValidator(lambda value: spelled_out(value, "path"))]
    data: Annotated[Data, BeforeValidator(lambda value: spelled_out(value, "path"))]
    held_out: Annotated[Data | None, BeforeValidator(lambda value: spelled_out(value, "path"))] = None
    """Rows that are only ever played and measured."""
    held_out_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Instead of `held_out`: this share of the videos of `data`."""
    freeze: tuple[Part, ...] = ()
    """Parts that are not trained."""
    lora: dict[str, Any] | None = None
    """Settings of peft's LoraConfig; None trains the weights themselves."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens of a row, pictures included. A longer one ends after an earlier turn, whole looks left out."""
    packing: bool = False
    """The rows of a device's batch stand in one line without padding."""
    rollouts: Rollouts = Rollouts()
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Keys of TRL's SFTConfig, apart from those that are ours."""

    @field_validator("trainer", mode="before")
    @classmethod
    def _trainer_keys(cls, value: Any) -> Any:
        from trl import SFTConfig

        return checked(SFTConfig, value, OURS_IN_SFT) if isinstance(value, dict) else value

    @field_validator("lora", mode="before")
    @classmethod
    def _lora_keys(cls, value: Any) -> Any:
        from peft import LoraConfig

        return checked(LoraConfig, value, {}) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _agrees(self) -> "SftRecipe":
        if self.held_out and self.held_out_share:
            raise ValueError("held_out and held_out_share are two ways to say one thing; give one")
        if self.rollouts.every and not (self.held_out or self.held_out_share):
            raise ValueError("rollouts play held-out rows; give held_out or held_out_share")
        return self

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"


def train(recipe: SftRecipe, tell: Tell = lambda line: None) -> Path:
    """Train, or go on where a killed run stopped; returns the folder of the trained model.

    Args:
        recipe: what is trained, and how.
        tell: is told in lines what is left out, passed over and gone on from; called by the first process only.

    Raises:
        SeekerError: a user's mistake, or a full disk.
    """
    from seekertrain.manifest import begin, finish, finished

    began = time.time()
    settings = trainer_config(recipe)
    first = settings.process_index == 0
    tell = tell if first else lambda line: None
    if finished(recipe):
        tell(f"{recipe.out} holds this run, finished; name another folder with --out to train again")
        return recipe.out / "model"
    trainer = assemble(recipe, settings, tell)
    if first:
        begin(recipe, trainer)
    start = last_whole(recipe.checkpoints, tell)
    if start:
        tell(f"goes on from {start}")
    with room_for_checkpoints(recipe.checkpoints):
        result = _run(trainer, start)
        if trainer.is_fsdp_enabled:
            trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        trainer.save_model(str(recipe.out / "model"))
    if first:
        finish(recipe, trainer, result, time.time() - began)
    return recipe.out / "model"


def _run(trainer: Any, start: Path | None) -> Any:
    """Train; a mistake that a worker process met is told as that mistake, without the worker's traceback."""
    try:
        return trainer.train(resume_from_checkpoint=str(start) if start else None)
    except SeekerError as error:
        raise SeekerError(str(error).strip().splitlines()[-1].partition("SeekerError: ")[2] or str(error)) from None


def trainer_config(recipe: SftRecipe) -> Any:
    """TRL's SFTConfig of a recipe.

    Raises:
        SeekerError: this machine cannot do what it asks, or TRL refuses a value.
    """
    from trl import SFTConfig

    from seekertrain.trainer_settings import build, check_machine, for_machine

    values = TRAINER | for_machine(recipe.trainer)
    check_machine(values, recipe.model.attention)
    if recipe.held_out or recipe.held_out_share:
        values.setdefault("eval_strategy", "epoch")
    ours = {
        "output_dir": str(recipe.checkpoints),
        "seed": recipe.seed,
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "prediction_loss_only": True,
        "include_num_input_tokens_seen": "all" if recipe.packing else "non_padding",
        "disable_tqdm": True,
    }
    with warnings.catch_warnings():  # its new name is unknown to older releases that we support
        warnings.filterwarnings("ignore", "`gradient_checkpointing", FutureWarning)
        return build(SFTConfig, "trainer", values | ours)


def assemble(recipe: SftRecipe, settings: Any, tell: Tell) -> Any:
    """The trainer with model, rows and what watches it; nothing is trained yet."""
    from seekertrain.batch import Collator, Encoder
    from seekertrain.feed import Feed
    from seekertrain.processor import load_processor
    from seekertrain.trainer import Trainer

    processor = load_processor(recipe.model.path, recipe.model.revision)
    encoder = Encoder(processor, recipe.max_length)
    rows, held = prepare(recipe, encoder)
    if settings.process_index == 0:
        _tell_left_out(recipe, rows, tell)
    feed = Feed(Collator(encoder, recipe.packing), [rows, *([held] if held else [])], recipe.out / "replaced.jsonl")
    model = load_model(recipe.model)
    adapters = None if recipe.lora is None else lora_config(recipe.lora, recipe.freeze)
    if adapters is None:
        freeze(model, recipe.freeze)
    watching = _watching(recipe, held, processor, tell)
    trainer = Trainer(model, settings, rows, held, feed, processor, adapters, watching)
    _join(trainer, recipe)
    trained = sum(part["trained"] for part in parameters(trainer.model).values())
    whole = sum(part["all"] for part in parameters(trainer.model).values())
    check_room(recipe.checkpoints, 4 * (trained if adapters else whole), trained)
    return trainer


def prepare(recipe: SftRecipe, encoder: "Encoder") -> tuple[Rows, Rows | None]:
    """The rows to train on and those held out, measured.

    Raises:
        SeekerError: there are none, or a row is in both.
    """
    data, held = load(recipe.data), None
    if recipe.held_out_share:
        data, held = parted(data, recipe.held_out_share)
    elif recipe.held_out:
        held = load(recipe.held_out)
        if both := set(data["id"]) & set(held["id"]):
            raise SeekerError(f"held_out: {len(both)} of its rows are trained on too, such as {min(both)}")
    rows = _some(measured(data, encoder, recipe.data.videos()), recipe.data)
    if held is None:
        return rows, None
    source = recipe.held_out or recipe.data
    return rows, _some(measured(held, encoder, source.videos()), source)


def _some(rows: Rows, data: Data) -> Rows:
    if not len(rows):
        reason = f": {rows.left_out[0].reason}" if rows.left_out else ""
        raise SeekerError(f"{data.path}: none of {len(rows.left_out)} rows can be used, the first{reason}")
    return rows


def load_model(settings: Model) -> Any:
    """The weights.

    Raises:
        SeekerError: they cannot be found or read.
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    try:
        return AutoModelForImageTextToText.from_pretrained(
            settings.path, revision=settings.revision, dtype=dtype, attn_implementation=settings.attention
        )
    except (OSError, ValueError, ImportError) as error:
        raise SeekerError(f"{settings.path}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None


def _tell_left_out(recipe: SftRecipe, rows: Rows, tell: Tell) -> None:
    """Rows left out are named in a file, counted on the terminal."""
    lines = (json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows.left_out)
    write_atomically(recipe.out / "left_out.jsonl", (line.encode() for line in lines))
    facts = rows.facts()
    told = "".join(f", {count} left out as {code}" for code, count in facts["left_out"].items())
    told += f", {facts['shortened']} shortened" if facts["shortened"] else ""
    tell(f"{facts['rows']} rows of {facts['tokens']['p50']} tokens (p95 {facts['tokens']['p95']}){told}")


def _watching(recipe: SftRecipe, held: Rows | None, processor: Any, tell: Tell) -> list[Any]:
    """What shows how it goes: bar, curve, and plays of held-out rows."""
    from seekertrain.plays import Plays
    from seekertrain.progress import Bar, Curve

    watching: list[Any] = [Bar(), Curve(recipe.out)]
    if recipe.rollouts.every and held is not None:
        data = recipe.held_out or recipe.data
        rows = questions(data, held.data["id"], recipe.rollouts.samples)
        watching.insert(0, Plays(rows, data.videos(), recipe.rollouts, processor, recipe.out, tell))
    return watching


def _join(trainer: Any, recipe: SftRecipe) -> None:
    """What needs the trainer that it watches, or the run's folder.

    Raises:
        SeekerError: plays are asked for where no process holds all weights.
    """
    for watcher in trainer.callback_handler.callbacks:
        if type(watcher).__name__ == "TensorBoardCallback":
            watcher.logging_dir = str(recipe.out / "tensorboard")
        if type(watcher).__name__ == "Plays":
            watcher.trainer = trainer
            zero3 = (
                trainer.is_deepspeed_enabled and trainer.accelerator.deepspeed_config["zero_optimization"]["stage"] == 3
            )
            if trainer.is_fsdp_enabled or zero3:
                raise SeekerError("rollouts.every: no process holds all weights under FSDP or ZeRO-3; set it to 0")
