"""rl in two processes on a CPU: groups that span them, one set of numbers, one alarm."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seekertrain.rl import RlRecipe

ROOT = Path(__file__).parent.parent.parent
LOGGED = ("step", "loss", "grad_norm", "reward", "reward_std", "kl", "entropy", "completions/mean_length")
ANSWERS = ("red", "blue", "I do not know", "green")
Make = Callable[..., RlRecipe]


def ran(recipe: RlRecipe, folder: Path, processes: int, *answers: str) -> "subprocess.CompletedProcess[str]":
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_defaults=True)))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    command = [*launch, str(Path(__file__).with_name("rl_process.py")), str(file), *(answers or ANSWERS)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder, timeout=300)


def small(make: Make, out: Path, processes: int, *changes: str) -> RlRecipe:
    """Two questions a step, each played four times, by so many processes; with two each has half of every group."""
    size = f"trainer.per_device_train_batch_size={4 // processes}"
    lengths = (
        "trainer.num_generations=4",
        "trainer.gradient_accumulation_steps=2",
        "trainer.max_completion_length=400",
    )
    return make(out, size, *lengths, "trainer.beta=0.1", "record_every=1", "play.overview_max_frames=2", *changes)


def logged(out: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [[line[name] for name in LOGGED] for line in lines if "loss" in line]


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on(rl_recipe: Make, tmp_path: Path) -> None:
    outs = [tmp_path / "run1", tmp_path / "run2"]
    for processes, out in enumerate(outs, start=1):
        done = ran(small(rl_recipe, out, processes), tmp_path, processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("ended after step 2") == processes
    one, two = (logged(out) for out in outs)
    assert len(one) == 2 and one[0][3] > 0
    for alone, together in zip(one, two, strict=True):
        assert alone == pytest.approx(together, rel=1e-3, abs=1e-6)
    shown = [(out / "rollouts" / "train-000001.html").read_text() for out in outs]
    assert "of the first of 2 processes" in shown[1] and "processes" not in shown[0]
    shutil.rmtree(outs[1] / "checkpoints" / "checkpoint-2")
    for file in ("manifest.json", "log.jsonl"):
        (outs[1] / file).unlink()
    done = ran(small(rl_recipe, outs[1], 2), tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert logged(outs[1]) == two, "questions of a later epoch, too"


@pytest.mark.slow
def test_an_alarm_stops_all_processes_at_one_step(rl_recipe: Make, tmp_path: Path) -> None:
    alarm = ("alarm={window: 2, on_one_answer: stop}", "trainer.max_steps=6")
    done = ran(small(rl_recipe, tmp_path / "run", 2, *alarm), tmp_path, 2, "purple")
    assert done.returncode != 0
    assert done.stderr.count("stopped at step 2: one answer takes over") == 1, done.stderr
