"""rl: reinforcement on real rollouts: TRL's GRPOTrainer over the `rl` rows of a dataset, with the tools of evaluation.

The same command again goes on from the last whole checkpoint.
"""

import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from seekerdata.plugin import spelled_out
from seekerdata.recipe import Recipe
from seekerdata.rollout import RolloutSettings
from seekertrain.alarm import AlarmSettings
from seekertrain.parts import Part
from seekertrain.rewards import RewardSettings
from seekertrain.rows import Data
from seekertrain.sft import Model, Rollouts, Tell, carry_out
from seekertrain.trainer_settings import OURS_IN_RL, checked


class RlRecipe(Recipe):
    """What `seekertrain rl` trains, on what, and how."""

    kind: ClassVar[str] = "rl"
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
    play: RolloutSettings = RolloutSettings()
    """What is shown first and how often one may look; as the rows were made, and as it is evaluated."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """Tokens of one turn; `trainer.max_completion_length` limits all that follows the prompt, looks included."""
    rewards: RewardSettings = RewardSettings()
    freeze: tuple[Part, ...] = ()
    """Parts that are not trained."""
    lora: dict[str, Any] | None = None
    """Settings of peft's LoraConfig; None trains the weights themselves."""
    rollouts: Rollouts = Rollouts()
    """Plays of held-out questions, greedy; they are shown what `play` says."""
    record_every: int = Field(default=10, ge=0)
    """Steps between records of what is trained on, `rollouts/train-*.jsonl` and their pages; 0: none."""
    alarm: AlarmSettings = AlarmSettings()
    """What ends a run that goes wrong, and what is only told."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Keys of TRL's GRPOConfig, apart from those that are ours."""

    @field_validator("trainer", mode="before")
    @classmethod
    def _grpo_keys(cls, value: Any) -> Any:
        from trl import GRPOConfig

        return checked(GRPOConfig, value, OURS_IN_RL) if isinstance(value, dict) else value

    @field_validator("lora", mode="before")
    @classmethod
    def _lora_keys(cls, value: Any) -> Any:
        from peft import LoraConfig

        return checked(LoraConfig, value, {}) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _agrees(self) -> "RlRecipe":
        if self.held_out and self.held_out_share:
            raise ValueError("held_out and held_out_share are two ways to say one thing; give one")
        if self.rollouts.every and not (self.held_out or self.held_out_share):
            raise ValueError("rollouts play held-out rows; give held_out or held_out_share")
        if self.play.mode == "direct":
            raise ValueError("play.mode: a direct play never writes <answer>, so none would be rewarded; use reasoning")
        if self.play.max_tokens is not None:
            raise ValueError("play.max_tokens counts a model's API; use trainer.max_completion_length")
        if "play" in self.rollouts.model_fields_set and self.rollouts.play != self.play:
            raise ValueError("rollouts.play: held-out rows are played as all others; give 'play' alone")
        object.__setattr__(self, "rollouts", self.rollouts.model_copy(update={"play": self.play}))
        return self

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"


def train_rl(recipe: RlRecipe, tell: Tell = lambda line: None) -> Path:
    """Train, or go on where a killed run stopped; returns the folder of the trained model.

    Args:
        recipe: what is trained, and how.
        tell: is told in lines what is left out, passed over and gone on from; called by the first process only.

    Raises:
        SeekerError: a user's mistake, a full disk, the alarm's end, or a step none of whose videos can be shown.
    """
    from seekertrain.assembly import assemble_rl, rl_config
    from seekertrain.manifest import finished

    began = time.time()
    settings = rl_config(recipe)
    tell = tell if settings.process_index == 0 else lambda line: None
    if finished(recipe):
        tell(f"{recipe.out} holds this run, finished; name another folder with --out to train again")
        return recipe.out / "model"
    return carry_out(recipe, assemble_rl(recipe, settings, tell), tell, began)
