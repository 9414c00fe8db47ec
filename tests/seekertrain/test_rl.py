"""rl: a run of two steps from its recipe to a model that loads, a kill in between, and what a user gets wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seekerdata.errors import SeekerError
from seekerdata.processor import NEVER_SAID
from seekerdata.recipe import load_recipe
from seekertrain.assembly import assemble_rl, check_turns, prepare_rl, rl_config
from seekertrain.rl import RlRecipe, train_rl
from seekertrain.sft import carry_out

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted((ROOT / "recipes" / "rl").glob("*.yaml"))

TRAINED = ("trainer.beta=0.01", "trainer.per_device_train_batch_size=4", "trainer.save_steps=1")
Make = Callable[..., RlRecipe]


@pytest.fixture(scope="module")
def trained(rl_recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two epochs, each one step of two of the three questions."""
    out = tmp_path_factory.mktemp("rl") / "run"
    assert train_rl(rl_recipe(out, *TRAINED)) == out / "model"
    return out


def steps(out: Path) -> list[tuple[float, ...]]:
    """What is logged of every step and does not depend on the clock."""
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    keys = ("step", "loss", "grad_norm", "reward", "entropy", "kl", "completions/mean_length")
    return [tuple(entry[key] for key in keys) for entry in logged if "loss" in entry]


def test_a_run_leaves_all_that_shows_what_it_was(trained: Path) -> None:
    from transformers import AutoModelForImageTextToText

    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["kind"] == "rl" and manifest["finished"] and manifest["steps"] == 2
    assert manifest["data"]["rows"] == 3 and manifest["data"]["left_out"] == {}
    assert "reward" in manifest["last"]
    card = (trained / "model" / "README.md").read_text()
    assert "seekertrain rl" in card and "GRPO" in card and "overview_fps: 0.2" in card
    assert [step for step, *_ in steps(trained)] == [1, 2]
    AutoModelForImageTextToText.from_pretrained(trained / "model")


def test_a_killed_run_goes_on_with_the_same_numbers(trained: Path, rl_recipe: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(trained / "checkpoints", out / "checkpoints")
    shutil.rmtree(out / "checkpoints" / "checkpoint-2")
    told: list[str] = []
    train_rl(rl_recipe(out, *TRAINED, "alarm.window=1", "look_timeout_s=60"), told.append)
    assert any(line.endswith("checkpoint-1") for line in told)
    assert any("step 2: nothing is learnt: all rollouts of each group have had one reward" in line for line in told)
    assert steps(out) == steps(trained), "in its second epoch it met the questions of that"


def test_a_finished_run_is_not_trained_again_and_its_folder_is_no_other_runs(trained: Path, rl_recipe: Make) -> None:
    told: list[str] = []
    train_rl(rl_recipe(trained, *TRAINED), told.append)
    assert "finished" in told[0]
    with pytest.raises(SeekerError, match=r"another trainer\.beta; name another folder"):
        train_rl(rl_recipe(trained, *TRAINED[1:]))


def test_no_backend_samples_what_stands_for_a_picture_and_turns_are_limited(rl_recipe: Make, tmp_path: Path) -> None:
    recipe = rl_recipe(tmp_path, "turn_tokens=12", "play.max_rounds=3")
    trainer = assemble_rl(recipe, rl_config(recipe), lambda line: None)
    unsaid = trainer.processing_class.tokenizer.convert_tokens_to_ids(list(NEVER_SAID))
    assert trainer.generation_config.suppress_tokens == unsaid
    assert trainer.generation_config.max_new_tokens == 12
    assert trainer.max_tool_calling_iterations == 3 and not trainer.log_completions
    trainer.is_fsdp_enabled = True
    with pytest.raises(SeekerError, match="rollouts with looks take different numbers of turns"):
        check_turns(trainer)
    trainer.args.use_vllm, trainer.args.vllm_mode = True, "server"
    check_turns(trainer)


def test_a_run_without_tools_and_with_adapters(rl_recipe: Make, tmp_path: Path) -> None:
    changes = ("play.mode=reasoning", "lora={r: 4}", "freeze=[vision]", "trainer.max_steps=1")
    train_rl(rl_recipe(tmp_path / "run", *changes))
    assert json.loads((tmp_path / "run" / "model" / "adapter_config.json").read_text())["r"] == 4
    logged = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert "tools/call_frequency" not in logged and logged["rollouts/not_shown"] == 0


def test_videos_that_are_not_there_are_left_out_or_end_the_run(rl_recipe: Make, run: Path, tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match=r"none of 3 rows can be played, the first: .*no such video"):
        train_rl(rl_recipe(tmp_path / "run", f"data.video_root={tmp_path}"))


def test_rewards_are_not_measured_on_videos_of_another_folder(
    rl_recipe: Make, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run / "videos", tmp_path / "videos")
    monkeypatch.setattr("seekertrain.assembly.check_apart", lambda data, held: None)
    changes = (f"held_out={{path: {run}/dataset, video_root: {tmp_path}/videos}}", "trainer.eval_strategy=steps")
    with pytest.raises(SeekerError, match=r"^trainer\.eval_strategy: held_out has videos of its own"):
        train_rl(rl_recipe(tmp_path / "run", *changes))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainer.learning_rat=1", "trainer.learning_rat: unknown key, did you mean 'learning_rate'?"),
        ("trainer.log_completions=true", "log_completions is not for a recipe to set here: the run's own log"),
        ("trainer.max_tool_calling_iterations=3", "use the recipe's own 'play.max_rounds'"),
        ("trainer.use_transformers_continuous_batching=true", "it would write turns without having seen the pictures"),
        ("play.mode=direct", "play.mode: a direct play never writes <answer>"),
        ("play.max_tokens=100", "play.max_tokens counts a model's API; use trainer.max_completion_length"),
        ("rollouts={play: {overview_fps: 2}}", "rollouts.play: held-out rows are played as all others"),
        ("rollouts.every=5", "rollouts play held-out rows; give held_out or held_out_share"),
        ("turn_tokens=0", "turn_tokens: Input should be greater than or equal to 1"),
    ],
)
def test_mistakes_in_a_recipe_are_said_at_once(rl_recipe: Make, tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(SeekerError) as caught:
        rl_recipe(tmp_path, change)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_trl_refuses_is_the_recipes_mistake(rl_recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match=r"^trainer: .*num_generations") as caught:
        train_rl(rl_recipe(tmp_path / "run", "trainer.num_generations=3"))
    assert "\n" not in str(caught.value)


def test_a_play_that_shows_other_frames_than_the_rows_were_made_with_is_told(rl_recipe: Make, tmp_path: Path) -> None:
    told: list[str] = []
    prepare_rl(rl_recipe(tmp_path), told.append)
    assert told and told[0].startswith("play shows 2 frames of 112,896 pixels first, and world-")
    assert "was made with 10 frames of" in told[0]
    prepare_rl(rl_recipe(tmp_path, "play.overview_fps=1.0"), told.append)
    assert len(told) == 1


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipe_loads_and_says_its_command(path: Path) -> None:
    assert path.read_text().startswith(f"# seekertrain rl {path.relative_to(ROOT)}")
    assert load_recipe(RlRecipe, path).name == path.stem


def test_a_run_is_watched(rl_recipe: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    plays = ("held_out_share=0.3", "rollouts.every=2", "rollouts.samples=1", "rollouts.max_new_tokens=8")
    train_rl(rl_recipe(out, "record_every=1", *plays))
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged if "plays_calls" in entry] == [0, 2], "before the first step, too"
    lines = [json.loads(line) for line in (out / "rollouts" / "train-000001.jsonl").read_text().splitlines()]
    assert len(lines) == 2 and (out / "rollouts" / "train-000002.html").exists()
    assert (out / "curves.png").exists() and not (out / "loss.png").exists()
    assert "curves.png" in (out / "model" / "README.md").read_text()


def test_what_the_alarm_ended_is_not_finished(rl_recipe: Make, tmp_path: Path) -> None:
    recipe = rl_recipe(tmp_path / "run")
    trainer = assemble_rl(recipe, rl_config(recipe), lambda line: None)
    (watch,) = [one for one in trainer.callback_handler.callbacks if type(one).__name__ == "Watch"]
    watch.stopped = "tool use collapsed"
    with pytest.raises(SeekerError, match=r"^stopped at step 2: tool use collapsed$"):
        carry_out(recipe, trainer, lambda line: None, 0.0)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["finished"] is None
    assert not (tmp_path / "run" / "model").exists()
