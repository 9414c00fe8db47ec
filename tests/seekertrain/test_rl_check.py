"""rl_check: what a recipe of rl would play, seen before it is played; figures are those of the real thing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seekertrain.assembly import assemble_rl, rl_config
from seekertrain.cli import app
from seekertrain.rl import RlRecipe, kind_of
from seekertrain.rl_check import check_rl
from seekertrain.sft import SftRecipe

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted((ROOT / "recipes" / "rl").glob("*.yaml"))
Make = Callable[..., RlRecipe]


@pytest.mark.parametrize("mode", ["tool", "reasoning"])
def test_prompts_are_as_long_as_those_that_are_played(rl_recipe: Make, tmp_path: Path, mode: str) -> None:
    recipe = rl_recipe(tmp_path, f"play.mode={mode}", "trainer.max_completion_length=300")
    report = check_rl(recipe, shown=3)
    assert report.faults == [] and "2 frames of 112,896 pixels first" in report.opening
    short = rl_recipe(tmp_path, f"play.mode={mode}", "trainer.max_completion_length=2")
    trainer = assemble_rl(short, rl_config(short), lambda line: None)
    trainer.model.train()
    played = []
    for row in trainer.rows.data:
        batch = trainer._generate_and_score_completions([row, row])
        played.append(int(batch["prompt_mask"][0].sum()))
    assert [int(name.split(", ")[1].split()[0]) for name, _ in report.batch] == played
    assert report.prompts["max"] == max(played)
    shown = [piece.text for piece in report.batch[0][1] if piece.kind == "picture"]
    assert shown == ["[56x56, 4 tokens]"] * (2 if mode == "tool" else 3)


def test_a_look_that_never_fits_is_a_fault(rl_recipe: Make, tmp_path: Path) -> None:
    report = check_rl(rl_recipe(tmp_path))
    least = report.room["largest_look"] + report.room["its_call"]
    assert report.room["its_frames"] == 10
    assert report.faults == [
        f"trainer.max_completion_length: one look takes up to {least} tokens (10 frames and its call) and 30 may "
        "follow a prompt: such a look would never be shown"
    ]
    assert check_rl(rl_recipe(tmp_path, f"trainer.max_completion_length={least}")).faults == []


def test_steps_are_those_of_the_trainer(rl_recipe: Make, tmp_path: Path) -> None:
    sizes = ("trainer.per_device_train_batch_size=1", "trainer.gradient_accumulation_steps=4", "trainer.max_steps=-1")
    recipe = rl_recipe(tmp_path, *sizes, "trainer.num_train_epochs=3", "trainer.steps_per_generation=2")
    found = check_rl(recipe).steps
    trainer = assemble_rl(recipe, rl_config(recipe), lambda line: None)
    per_epoch = -(-len(trainer.get_train_dataloader()) // 4)
    assert (found["steps_of_an_epoch"], found["steps"]) == (per_epoch, 3 * per_epoch)
    assert (found["rollouts_of_a_step"], found["questions_of_a_step"], found["rollouts_played_at_once"]) == (4, 2, 2)
    few = rl_recipe(tmp_path, "trainer.per_device_train_batch_size=8", "trainer.max_completion_length=300")
    assert check_rl(few).faults == ["data: there are fewer questions than the 4 of a step"]


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_every_recipe_can_be_looked_at_without_a_gpu(path: Path, run: Path, tiny: Path, tmp_path: Path) -> None:
    assert kind_of(path) is RlRecipe
    changes = ("held_out=null", "held_out_share=0", "rollouts.every=0", f"data={run / 'dataset'}", f"model.path={tiny}")
    if path.stem == "videozoomer":  # a step of it has more questions than this world
        changes += ("trainer.steps_per_generation=32",)
    few = ("trainer.gradient_accumulation_steps=16", "trainer.per_device_train_batch_size=1")
    options = [part for change in changes + few for part in ("--set", change)]
    found = CliRunner().invoke(app, ["check", str(path), "--rows", "1", *options])
    for told in ("[56x56, 4 tokens]", "tokens of a prompt: p50", "rewards: accuracy 0.", "memory of one device"):
        assert told in found.stdout, found.output
    assert found.exit_code == 0, found.output


def test_a_recipe_is_of_the_verb_whose_keys_it_has(tmp_path: Path, rl_recipe: Make) -> None:
    for path in (ROOT / "recipes" / "sft").glob("*.yaml"):
        assert kind_of(path) is SftRecipe
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps({"name": "a", "trainer": {"learning_rate": 1.0}}))
    assert kind_of(file) is SftRecipe and kind_of(file, ["trainer.num_generations=4"]) is RlRecipe
    assert (
        kind_of(file, ["turn_tokens=4"]) is RlRecipe and kind_of(file, ["turn_tokens=4", "packing=true"]) is SftRecipe
    )
