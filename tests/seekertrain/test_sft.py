"""sft: a run from its recipe to a model that loads, a kill in between, and what a user gets wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from seekerdata.errors import SeekerError
from seekerdata.sample import Sample
from seekerdata.trajectory import StopReason, ToolCall, Trajectory, Turn
from seekertrain.assembly import trainer_config
from seekertrain.plays import _line
from seekertrain.sft import SftRecipe, train

Make = Callable[..., SftRecipe]


@pytest.fixture(scope="module")
def trained(recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with plays every four steps."""
    out = tmp_path_factory.mktemp("sft") / "run"
    plays = ("rollouts.every=4", "rollouts.samples=2", "rollouts.max_new_tokens=8")
    assert train(recipe(out, *plays)) == out / "model"
    return out


def losses(out: Path) -> list[tuple[int, float, float]]:
    """Step, loss and gradient norm of every step."""
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in logged if "loss" in entry]


def test_a_run_leaves_all_that_shows_what_it_was(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["finished"] and manifest["steps"] == 4 and manifest["tokens"] > 1000
    assert manifest["data"]["rows"] + manifest["held_out"]["rows"] == 10
    assert set(manifest["model"]["parameters"]) == {"vision", "projector", "language"}
    assert manifest["versions"]["trl"].startswith("1.") and manifest["recipe"]["trainer"]["max_steps"] == 4
    assert [step for step, *_ in losses(trained)] == [1, 2, 3, 4]
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((trained / "tensorboard").glob("events.*"))
    assert (trained / "left_out.jsonl").read_text() == ""
    assert not (trained / "replaced.jsonl").exists()


def test_plays_are_written_as_lines_and_as_a_page(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "rollouts" / "step-000004.jsonl").read_text().splitlines()]
    assert len(lines) == 2 and all(line["trajectory"]["turns"] for line in lines)
    assert {line["right"] for line in lines} <= {True, False}
    page = (trained / "rollouts" / "step-000004.html").read_text()
    assert all(line["id"] in page for line in lines) and "step 4" in page
    assert "no mark" not in page
    logged = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    (shares,) = [entry for entry in logged if "plays_right" in entry]
    assert shares["plays_right"] == sum(line["right"] for line in lines) / 2 and shares["step"] == 4


def test_half_a_character_in_a_call_is_written_as_it_is(sample: Sample) -> None:
    called = Turn(role="assistant", tool_calls=(ToolCall(id="call_1", name="crop_video", arguments={"x": "\ud800"}),))
    play = Trajectory(sample_id=sample.id, policy="player", turns=(called,), stop=StopReason.NO_ANSWER)
    line = _line(play, sample).encode()
    assert json.loads(line)["trajectory"]["turns"][0]["tool_calls"][0]["arguments"] == {"x": "\ud800"}


def test_the_model_loads_and_its_card_tells_what_it_is(trained: Path) -> None:
    from transformers import AutoModelForImageTextToText

    from seekertrain.processor import load_processor

    model = AutoModelForImageTextToText.from_pretrained(trained / "model")
    assert sum(p.numel() for p in model.parameters()) > 1_000_000
    assert "<tools>" in load_processor(str(trained / "model")).chat_template
    card = (trained / "model" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["pipeline_tag"] == "image-text-to-text"
    for told in ("![loss by step](loss.png)", "| held-out loss |", "learning_rate: 0.001", "trl 1."):
        assert told in card, told
    assert str(trained.parent) not in card, "a card names no folder of this machine"
    assert (trained / "model" / "loss.png").exists()


def test_a_killed_run_goes_on_from_the_last_whole_checkpoint_with_the_same_losses(
    trained: Path, recipe: Make, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(trained / "checkpoints", out / "checkpoints")
    for line in (out / "checkpoints" / "checkpoint-4").glob("model*.safetensors"):
        line.write_bytes(line.read_bytes()[:-1])
    told: list[str] = []
    train(recipe(out, "trainer.logging_steps=1"), told.append)
    assert any("checkpoint-4 is passed over" in line for line in told)
    assert any(line.endswith("checkpoint-2") for line in told)
    assert losses(out) == losses(trained)
    last = [json.loads((place / "manifest.json").read_text())["last"] for place in (out, trained)]
    assert last[0]["eval_loss"] == last[1]["eval_loss"]


def test_a_finished_run_is_not_trained_again_and_no_other_run_takes_its_folder(trained: Path, recipe: Make) -> None:
    before = (trained / "model" / "model.safetensors").stat().st_mtime_ns
    told: list[str] = []
    assert train(recipe(trained, "rollouts.every=0"), told.append) == trained / "model"
    assert "finished" in told[0] and (trained / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SeekerError, match=r"another trainer\.learning_rate; name another folder"):
        train(recipe(trained, "trainer.learning_rate=1.0"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_while_a_checkpoint_is_written_is_one_line(
    trained: Path, recipe: Make, tmp_path: Path
) -> None:
    torn = tmp_path / "run" / "checkpoints" / "checkpoint-1"
    torn.mkdir(parents=True)
    (torn / "optimizer.pt").symlink_to("/dev/full")
    with pytest.raises(SeekerError, match=r"cannot write a checkpoint to .*; make room, the same command then starts"):
        train(recipe(tmp_path / "run", "trainer.max_steps=1", "trainer.save_steps=1"))


def test_a_mistake_that_a_loading_process_meets_is_one_line_too(run: Path, tiny: Path, tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    from seekertrain.batch import Collator, Encoder
    from seekertrain.feed import Feed
    from seekertrain.processor import load_processor
    from seekertrain.rows import Data, load, measured
    from seekertrain.sft import _run

    class Reader:
        """Reads batches as the trainer does."""

        def train(self, resume_from_checkpoint: str | None) -> None:
            list(DataLoader(rows.data, batch_size=2, num_workers=1, collate_fn=feed))

    encoder = Encoder(load_processor(str(tiny)))
    bare = load(Data(path=str(run / "dataset"))).map(lambda row: {"media": "reference"}, keep_in_memory=True)
    rows = measured(bare, encoder, run / "videos")
    assert len(rows) == 10
    feed = Feed(Collator(encoder), [replace(rows, videos=tmp_path)], tmp_path / "replaced.jsonl")
    with pytest.raises(SeekerError, match=r"^row world-.* and 9 after it cannot be shown") as caught:
        _run(Reader(), None)
    assert "\n" not in str(caught.value)


def test_packed_rows_give_the_losses_of_padded_ones(trained: Path, recipe: Make, tmp_path: Path) -> None:
    short = ("trainer.max_steps=1", "trainer.lr_scheduler_type=constant", 'trainer.eval_strategy="no"')
    train(recipe(tmp_path / "run", "packing=true", *short))
    train(recipe(tmp_path / "padded", *short))
    for packed, padded in zip(losses(tmp_path / "run"), losses(tmp_path / "padded"), strict=True):
        assert packed == pytest.approx(padded, rel=1e-3)


def test_a_warm_up_on_looks_comes_first_and_once(recipe: Make, tmp_path: Path) -> None:
    made = recipe(tmp_path / "run", "warm_up={trainer: {max_steps: 2}}", "trainer.max_steps=1")
    train(made)
    first, second = (json.loads((tmp_path / "run" / p / "manifest.json").read_text()) for p in ("warm_up", "."))
    assert (first["steps"], second["steps"]) == (2, 1)
    assert first["data"]["rows"] > second["data"]["rows"], "each look is a row"
    assert first["data"]["tokens"]["max"] < second["data"]["tokens"]["p50"]
    assert first["finished"] <= second["started"]
    untouched = (tmp_path / "run" / "warm_up" / "manifest.json").read_bytes()
    told: list[str] = []
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "manifest.json").unlink()
    before = losses(tmp_path / "run")
    train(made, told.append)
    assert len(told) == 1 and " rows of " in told[0] and losses(tmp_path / "run") == before
    assert (tmp_path / "run" / "warm_up" / "manifest.json").read_bytes() == untouched


def test_frozen_parts_and_adapters(recipe: Make, tiny: Path, tmp_path: Path) -> None:
    train(recipe(tmp_path / "run", "lora={r: 4}", "freeze=[vision]", "trainer.max_steps=1"))
    config = json.loads((tmp_path / "run" / "model" / "adapter_config.json").read_text())
    assert config["r"] == 4
    counts = json.loads((tmp_path / "run" / "manifest.json").read_text())["model"]["parameters"]
    assert counts["vision"]["trained"] == 0 < counts["language"]["trained"] < counts["language"]["all"]
    assert counts["projector"]["trained"] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainer.learning_rat=1", "trainer.learning_rat: unknown key, did you mean 'learning_rate'?"),
        ("trainer.learning_rate=fast", "trainer.learning_rate: Input should be a valid number"),
        ("trainer.max_length=10", "trainer: max_length is not for a recipe to set here: use the recipe's own"),
        ("trainer.assistant_only_loss=true", "trainer: assistant_only_loss is not for a recipe to set here"),
        ("trainer.hub_token=hf_x", "trainer: hub_token is not for a recipe to set here"),
        ("lora.rank=4", "lora.rank: unknown key"),
        ("freeze=[eyes]", "freeze.0: "),
        ("model.pat=x", "model.pat: unknown key, did you mean 'path'?"),
        ("warm_up={trainer: {max_step: 3}}", "warm_up.trainer.max_step: unknown key, did you mean 'max_steps'?"),
        ("held_out=elsewhere", "held_out and held_out_share are two ways"),
        ("held_out_share=1.5", "held_out_share: Input should be less than 1"),
    ],
)
def test_mistakes_in_a_recipe_are_said_at_once(recipe: Make, tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(SeekerError) as caught:
        recipe(tmp_path, change)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_may_be_written_as_yaml_takes_for_words(recipe: Make, tmp_path: Path) -> None:
    assert recipe(tmp_path, "trainer.learning_rate=1e-5").trainer["learning_rate"] == 1e-5


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainer.bf16=true", "trainer.bf16: there is no GPU here"),
        ("model.attention=flash_attention_2", "model.attention: flash_attention_2 needs a GPU"),
        ("trainer.lr_scheduler_type=cosin", "trainer: cosin is not a valid SchedulerType"),
        ("trainer.report_to=trackio", "trainer.report_to: trackio is not installed"),
    ],
)
def test_what_this_machine_cannot_do_is_said_before_anything_is_loaded(
    recipe: Make, tmp_path: Path, change: str, said: str
) -> None:
    with pytest.raises(SeekerError, match=said.replace("(", r"\(")):
        trainer_config(recipe(tmp_path, "trainer.use_cpu=false", change))


def test_rows_held_out_are_not_trained_on(recipe: Make, run: Path, tmp_path: Path) -> None:
    changes = ("held_out_share=0", f"held_out={run / 'dataset'}")
    with pytest.raises(SeekerError, match="held_out: 10 of its rows are trained on too, such as world-"):
        train(recipe(tmp_path, *changes))


def test_no_row_that_fits_is_said_with_its_reason(recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match=r"none of \d+ rows can be used, the first: .* tokens up to the first turn"):
        train(recipe(tmp_path, "max_length=50"))


def test_a_model_that_drops_tools_is_refused(recipe: Make, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deaf"
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}")
    with pytest.raises(SeekerError, match="its chat template drops"):
        train(recipe(tmp_path / "run", f"model={folder}"))
