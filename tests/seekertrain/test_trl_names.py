"""trl_names: a TRL that our trainer was not written for is one line before any work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trl import GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration

from seekerdata.errors import SeekerError
from seekertrain.assembly import rl_config
from seekertrain.trl_names import OVERRIDDEN, READ, attributes_of, check_names

Make = Callable[..., Any]


def test_this_trl_has_every_name() -> None:
    check_names()


@pytest.mark.parametrize(
    ("kind", "name", "other", "said"),
    [
        (GRPOTrainer, "_tool_call_loop", None, "GRPOTrainer has no _tool_call_loop"),
        (GRPOTrainer, "_generate", lambda self, rows, turn: None, "GRPOTrainer._generate takes rows, turn"),
        (VLLMGeneration, "generate", lambda self, prompts: None, "VLLMGeneration.generate takes prompts"),
    ],
)
def test_another_trl_is_said_before_a_run_begins(
    rl_recipe: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    name: str,
    other: Any,
    said: str,
) -> None:
    recipe = rl_recipe(tmp_path)
    monkeypatch.delattr(kind, name) if other is None else monkeypatch.setattr(kind, name, other)
    with pytest.raises(SeekerError, match=r"^TRL 1\.\d+\.\d+ has other parts inside than 1\.16") as caught:
        rl_config(recipe)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_attribute_that_nothing_sets_is_named() -> None:
    with pytest.raises(SeekerError, match="GRPOTrainer has no vllm_generation;"):
        check_names(type("GRPOTrainer", (), {name: getattr(GRPOTrainer, name) for name in OVERRIDDEN}))


def test_all_that_our_trainer_takes_from_within_trl_is_looked_at() -> None:
    from seekertrain.grpo import GroupTrainer

    own = {name for name in vars(GroupTrainer) if name in vars(GRPOTrainer) and not name.startswith("__")}
    assert own - {"train"} <= set(OVERRIDDEN)
    source = (Path(__file__).parents[2] / "seekertrain" / "grpo.py").read_text()
    private = {name for name in attributes_of(GRPOTrainer) if name.startswith("_")}
    assert {name for name in private if f".{name}" in source} <= set(READ)
