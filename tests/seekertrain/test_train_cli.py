"""seekertrain's command line, and the recipes that come with the repository."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from seekerdata.recipe import load_recipe
from seekertrain.cli import app
from seekertrain.sft import SftRecipe

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted((ROOT / "recipes" / "sft").glob("*.yaml"))
LAUNCHES = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))

Make = Callable[..., SftRecipe]


def test_help_is_light() -> None:
    program = "import sys; from seekertrain.cli import app; print(*{'torch', 'transformers', 'trl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0 and all(verb in shown.stdout for verb in ("sft", "rl", "check", "init-tiny"))


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["sft", str(tmp_path / "gone.yaml")])
    assert found.exit_code == 2 and found.stderr == f"{tmp_path / 'gone.yaml'}: no such recipe\n"


def test_of_several_processes_the_first_tells_a_mistake_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    found = CliRunner().invoke(app, ["sft", str(tmp_path / "gone.yaml")])
    assert found.exit_code == 2 and found.stderr == ""


def test_check_prints_the_batch_and_the_figures(recipe: Make, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    written = recipe(tmp_path / "run").model_dump(mode="json", exclude_defaults=True)
    file.write_text(yaml.safe_dump(written))
    found = CliRunner().invoke(app, ["check", str(file), "--rows", "1"])
    assert found.exit_code == 0, found.output
    for told in ("<tools>", "[56x56, 4 tokens]", "p95", "memory of one device", "supports tool calling True"):
        assert told in found.stdout, told
    assert not (tmp_path / "run").exists(), "nothing is written"


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipe_loads_and_says_its_command(path: Path) -> None:
    assert path.read_text().startswith(f"# seekertrain sft {path.relative_to(ROOT)}")
    assert load_recipe(SftRecipe, path).name == path.stem


def test_the_papers_recipe_has_the_papers_values() -> None:
    recipe = load_recipe(SftRecipe, ROOT / "recipes" / "sft" / "videoseeker.yaml")
    trainer = recipe.trainer
    assert (trainer["learning_rate"], trainer["lr_scheduler_type"], trainer["warmup_steps"]) == (1e-5, "cosine", 0.1)
    assert (trainer["per_device_train_batch_size"], trainer["gradient_accumulation_steps"]) == (1, 2)
    assert recipe.freeze == ("vision",) and trainer["num_train_epochs"] == 1 and trainer["bf16"] is True


@pytest.mark.parametrize("path", LAUNCHES, ids=[path.stem for path in LAUNCHES])
def test_accelerate_takes_its_settings(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(path))
    expected = {"one_gpu": "NO", "fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
    assert str(found.distributed_type).endswith(expected[path.stem])
    if path.stem.startswith("zero"):
        assert found.deepspeed_config["zero_stage"] == int(path.stem[-1])
    assert f"--config_file {path.relative_to(ROOT)} -m seekertrain.cli sft" in path.read_text()


@pytest.mark.slow
def test_two_processes_train_as_one(recipe: Make, tmp_path: Path) -> None:
    """The same rows in each step, so the same losses as one process with twice the batch. Only the first speaks."""
    losses = []
    for processes in (1, 2):
        out = tmp_path / f"run{processes}"
        made = recipe(out, f"trainer.per_device_train_batch_size={2 // processes}", "trainer.max_steps=3")
        assert made.trainer["use_cpu"]
        file = tmp_path / f"recipe{processes}.yaml"
        file.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_defaults=True)))
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        command = [*launch, "-m", "seekertrain.cli", "sft", str(file)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT, timeout=500)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("model: ") == 1
        logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        losses.append([entry["loss"] for entry in logged if "loss" in entry])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
