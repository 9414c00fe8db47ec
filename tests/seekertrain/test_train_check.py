"""check: what a recipe would train, seen before it is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seekerdata.shards import read
from seekertrain.batch import Encoder
from seekertrain.check import Report, check, unlike_prompt
from seekertrain.processor import load_processor
from seekertrain.sft import SftRecipe

Make = Callable[..., SftRecipe]


@pytest.fixture(scope="module")
def report(recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return check(recipe(tmp_path_factory.mktemp("check"), "max_length=450", "freeze=[vision]"))


def test_trained_text_is_exactly_what_the_model_says(report: Report, run: Path) -> None:
    rows = {row["id"]: row for row in read(run / "dataset", "sft")}
    assert len(report.batch) == 2
    for name, pieces in report.batch:
        turns = [turn for turn in rows[name]["messages"] if turn["role"] == "assistant" and turn["loss"]]
        told = [piece.text for piece in pieces if piece.kind == "trained"]
        for turn, words in zip(turns, told, strict=False):
            assert words.startswith(turn["content"][0]["text"]) and words.endswith("<|im_end|>\n")
            assert [call["function"]["name"] in words for call in turn["tool_calls"]] == [True] * len(
                turn["tool_calls"]
            )
        assert "<tool_response>" not in "".join(told) and "Question:" not in "".join(told)
        assert "<tools>" in pieces[0].text and pieces[0].kind == "context"


def test_pictures_are_shown_by_size_and_as_many_as_the_row_has(report: Report, run: Path) -> None:
    rows = {row["id"]: row for row in read(run / "dataset", "sft")}
    for name, pieces in report.batch:
        shown = [piece.text for piece in pieces if piece.kind == "picture"]
        assert set(shown) == {"[56x56, 4 tokens]"} and len(shown) <= len(rows[name]["images"])


def test_lengths_limits_and_steps(report: Report) -> None:
    assert report.lengths["max"] > 450 >= report.rows["tokens"]["max"]
    assert report.over_limit == report.rows["shortened"] > 0
    assert report.steps["rows_of_a_step"] == 2 and report.steps["steps"] == 4
    assert report.steps["tokens_of_an_epoch"] == report.rows["tokens"]["sum"]


def test_template_and_prompts_are_as_grpo_needs_them(report: Report) -> None:
    assert all(report.template.values()) and report.prompts_compared >= 5
    assert report.faults == []


def test_memory_follows_what_is_trained(report: Report, recipe: Make, tmp_path: Path) -> None:
    trained = sum(part["trained"] for part in report.parameters.values())
    assert report.parameters["vision"]["trained"] == 0 < trained
    assert report.memory_gb["gradients"] == pytest.approx(4 * trained / 1e9, abs=1e-3)
    adapters = check(recipe(tmp_path, "lora={r: 2}"))
    assert adapters.memory_gb["optimiser"] < report.memory_gb["optimiser"]
    assert adapters.memory_gb["weights"] >= report.memory_gb["weights"]
    assert json.loads(json.dumps(adapters.facts()))["batch"][0]["pieces"]


def test_a_row_whose_prompt_differs_is_named(run: Path, tiny: Path) -> None:
    processor = load_processor(str(tiny))
    row = next(read(run / "dataset", "sft"))
    assert unlike_prompt(row, Encoder(processor), processor) == ""
    fewer = row | {"tools": row["tools"][:1]}
    assert unlike_prompt(fewer, Encoder(processor), processor).startswith(f"{row['id']}: its prompt is not the one")
