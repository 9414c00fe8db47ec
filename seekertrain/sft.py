"""sft: the supervised cold start: TRL's SFTTrainer over the `sft` rows of a dataset, with our own batches.

Loss on the model's own turns only. The same command again goes on from the last whole checkpoint.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from seekerdata.errors import SeekerError
from seekerdata.plugin import spelled_out
from seekerdata.recipe import Recipe
from seekerdata.rollout import RolloutSettings
from seekertrain.alarm import Stopped
from seekertrain.checkpoints import last_whole, room_for_checkpoints
from seekertrain.parts import Part
from seekertrain.rows import Data
from seekertrain.trainer_settings import OURS_IN_SFT, checked, older_names

if TYPE_CHECKING:
    from seekertrain.rl import RlRecipe

Tell = Callable[[str], None]


def _sft_keys(value: Any) -> Any:
    from trl import SFTConfig

    return checked(SFTConfig, value, OURS_IN_SFT) if isinstance(value, dict) else value


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
    batch_size: int = Field(default=8, ge=1)
    """Plays whose next turns a device writes at once."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Tokens of one turn."""
    play: RolloutSettings = RolloutSettings()
    """What is shown first and how often one may look; as the rows were made."""


class WarmUp(BaseModel):
    """A first phase on the looks of the same rows alone: a model that never saw a picture learns to see."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trainer: dict[str, Any] = Field(default_factory=dict)
    """Keys of `trainer` that are others in this phase, such as its steps."""

    _trainer_keys = field_validator("trainer", mode="before")(_sft_keys)


class Training(Recipe):
    """What every recipe of training says: which model, on what, and what is held out."""

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
    rollouts: Rollouts = Rollouts()
    """Plays of held-out questions, greedy."""

    @field_validator("lora", mode="before")
    @classmethod
    def _lora_keys(cls, value: Any) -> Any:
        from peft import LoraConfig

        return checked(LoraConfig, value, {}) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _held_out(self) -> Self:
        if self.held_out and self.held_out_share:
            raise ValueError("held_out and held_out_share are two ways to say one thing; give one")
        if self.rollouts.every and not (self.held_out or self.held_out_share):
            raise ValueError("rollouts play held-out rows; give held_out or held_out_share")
        return self

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"


class SftRecipe(Training):
    """What `seekertrain sft` trains, on what, and how."""

    kind: ClassVar[str] = "sft"
    take: Literal["trajectories", "looks"] = "trajectories"
    """What is made of a row: all of it, or each of its looks with the thought that followed, as rows of their own."""
    warm_up: WarmUp | None = None
    """A phase before this one, with `take: looks`; its run lies in `warm_up/` of the run's folder."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens of a row, pictures included. A longer one ends after an earlier turn, whole looks left out."""
    packing: bool = False
    """The rows of a device's batch stand in one line without padding."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Keys of TRL's SFTConfig, apart from those that are ours."""

    _trainer_keys = field_validator("trainer", mode="before")(_sft_keys)

    @model_validator(mode="after")
    def _agrees(self) -> "SftRecipe":
        if self.warm_up and self.lora is not None:
            raise ValueError("warm_up trains weights and lora does not; warm up in a run of its own")
        return self

    def of_warm_up(self) -> "SftRecipe":
        """The run of the first phase."""
        assert self.warm_up is not None
        changes = {"name": f"{self.name}, warm-up", "out": self.out / "warm_up", "take": "looks", "warm_up": None}
        phase = {"trainer": self.trainer | self.warm_up.trainer, "rollouts": Rollouts()}
        return self.model_copy(update=changes | phase)

    def start(self) -> Model:
        """The weights that this phase starts from."""
        if self.warm_up is None:
            return self.model
        return self.model.model_copy(update={"path": str(self.out / "warm_up" / "model"), "revision": None})


@older_names()
def train(recipe: SftRecipe, tell: Tell = lambda line: None) -> Path:
    """Train, or go on where a killed run stopped; returns the folder of the trained model.

    Args:
        recipe: what is trained, and how.
        tell: is told in lines what is left out, passed over and gone on from; called by the first process only.

    Raises:
        SeekerError: a user's mistake, or a full disk.
    """
    from seekertrain.assembly import assemble, trainer_config
    from seekertrain.manifest import finished

    began = time.time()
    settings = trainer_config(recipe)
    tell = tell if settings.process_index == 0 else lambda line: None
    if finished(recipe):
        tell(f"{recipe.out} holds this run, finished; name another folder with --out to train again")
        return recipe.out / "model"
    if recipe.warm_up and not finished(recipe.of_warm_up()):
        train(recipe.of_warm_up(), tell)
        settings.distributed_state.wait_for_everyone()
    return carry_out(recipe, assemble(recipe, settings, tell), tell, began)


def carry_out(recipe: "SftRecipe | RlRecipe", trainer: Any, tell: Tell, began: float) -> Path:
    """Train from the last whole checkpoint on, and leave model, manifest and card; returns the model's folder.

    Args:
        recipe: of the trainer.
        trainer: as it was assembled.
        tell: is told what is passed over and gone on from.
        began: when the command was started, as `time.time` gives it.

    Raises:
        SeekerError: a full disk, or a mistake that shows while training.
    """
    from seekertrain.manifest import begin, finish

    settings = trainer.args
    if settings.process_index == 0:
        begin(recipe, trainer)
    start = last_whole(recipe.checkpoints, tell)
    if start:
        tell(f"goes on from {start}")
    with room_for_checkpoints(recipe.checkpoints):
        result = _run(trainer, start)
        if trainer.is_fsdp_enabled:
            trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        trainer.save_model(str(recipe.out / "model"))
    if settings.process_index == 0:
        finish(recipe, trainer, result, time.time() - began)
    return recipe.out / "model"


def _run(trainer: Any, start: Path | None) -> Any:
    """Train; a mistake that a worker process met is told as that mistake, without the worker's traceback."""
    try:
        return trainer.train(resume_from_checkpoint=str(start) if start else None)
    except Stopped:
        raise
    except SeekerError as error:
        raise SeekerError(str(error).strip().splitlines()[-1].removeprefix("seekerdata.errors.SeekerError: ")) from None
