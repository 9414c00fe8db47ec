"""rl: reinforcement on real rollouts: TRL's GRPOTrainer over the `rl` rows of a dataset, with the tools of evaluation.

The same command again goes on from the last whole checkpoint.
"""

import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from seekerdata.recipe import read_values
from seekerdata.rollout import RolloutSettings
from seekertrain.alarm import AlarmSettings
from seekertrain.looking import LIMIT_S
from seekertrain.rewards import RewardSettings
from seekertrain.sft import SftRecipe, Tell, Training, carry_out
from seekertrain.trainer_settings import OURS_IN_RL, checked, older_names


class RlRecipe(Training):
    """What `seekertrain rl` trains, on what, and how. `rollouts` are shown what `play` says."""

    kind: ClassVar[str] = "rl"
    play: RolloutSettings = RolloutSettings()
    """What is shown first and how often one may look; as the rows were made, and as it is evaluated."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """Tokens of one turn; `trainer.max_completion_length` limits all that follows the prompt, looks included."""
    look_timeout_s: float = Field(default=LIMIT_S, gt=0)
    """Limit of one look, and of opening a video; a rollout that it cuts short is left out of its group."""
    rewards: RewardSettings = RewardSettings()
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

    @model_validator(mode="after")
    def _agrees(self) -> "RlRecipe":
        if self.play.mode == "direct":
            raise ValueError("play.mode: a direct play never writes <answer>, so none would be rewarded; use reasoning")
        if self.play.max_tokens is not None:
            raise ValueError("play.max_tokens counts a model's API; use trainer.max_completion_length")
        if "play" in self.rollouts.model_fields_set and self.rollouts.play != self.play:
            raise ValueError("rollouts.play: held-out rows are played as all others; give 'play' alone")
        object.__setattr__(self, "rollouts", self.rollouts.model_copy(update={"play": self.play}))
        return self


def kind_of(path: Path, changes: Sequence[str] = ()) -> type[Training]:
    """Whose recipe a file is: that of `rl` if a key of it, or of its `trainer`, is one of `rl` alone and none of `sft`.

    Raises:
        SeekerError: there is no such file.
    """
    from trl import GRPOConfig, SFTConfig

    values = read_values(path, changes)
    inner = values.get("trainer")
    given = {*values, *(f"trainer.{key}" for key in (inner if isinstance(inner, dict) else ()))}
    rl, sft = (
        {*recipe.model_fields, *(f"trainer.{key.name}" for key in fields(config))}
        for recipe, config in ((RlRecipe, GRPOConfig), (SftRecipe, SFTConfig))
    )
    return RlRecipe if given & (rl - sft) and not given & (sft - rl) else SftRecipe


@older_names()
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
