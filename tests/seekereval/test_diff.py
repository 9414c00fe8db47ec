"""diff: what two runs did differently, which items flipped, and a test that knows which items share a video."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seekerdata.errors import SeekerError
from seekereval.cli import app
from seekereval.diff import compare
from seekereval.intervals import paired
from seekereval.item import Item
from seekereval.results import Results, write_results
from seekereval.scoring import grade

MANIFEST = {
    "model": {"asked": "small"},
    "settings": {"preset": {"frames": 64}},
    "versions": {"av": "1"},
    "started": "2026-01-01",
}


def item(number: int, options: tuple[str, ...] = ("red", "blue"), answer: str = "A") -> Item:
    return Item(
        id=f"i{number}",
        video="v",
        question="Which?",
        options=options,
        answer=answer,
        cluster=f"v{number % 4}",
    )


def run(folder: Path, replies: str, first: int = 0, **changed: object) -> Results:
    rows = [grade(item(n), "" if sign == "-" else sign) for n, sign in enumerate(replies, start=first)]
    return write_results(folder, {**MANIFEST, **changed}, rows)


def test_flips_and_the_test_are_those_of_the_common_items(tmp_path: Path) -> None:
    a = run(tmp_path / "a", "AABB-AB")
    b = run(tmp_path / "b", "BAABAA", first=0, model={"asked": "large"}, started="2026-02-02", seed=1)
    found = compare(a, b)
    assert found.settings == {"model.asked": ("small", "large"), "seed": ("", "1")}
    facts = found.facts()
    assert facts["items"] == {
        "common": 6, "only_first": 1, "only_second": 0, "differ_in_content": 0, "gained": 2, "lost": 1,
    }  # fmt: skip
    assert [(flip["id"], flip["gained"]) for flip in facts["flips"]] == [("i0", False), ("i2", True), ("i4", True)]
    assert facts["flips"][2]["first"] == {"state": "missing", "answer": "", "score": 0.0}
    assert facts["flips"][2]["second"]["answer"] == "A" and facts["flips"][2]["gold"] == "A"
    right = [[100.0, 100, 0, 0, 0, 100], [0.0, 100, 100, 0, 100, 100]]
    expected = paired(*right, [f"v{n % 4}" for n in range(6)])
    assert found.test == expected and facts["difference"]["clusters"] == 4
    assert facts["score"] == {"first": 50.0, "second": pytest.approx(66.667, abs=1e-3), "p": expected.p}


def test_a_shuffled_run_is_said_to_ask_other_questions(tmp_path: Path) -> None:
    a = run(tmp_path / "a", "AB")
    rows = [grade(item(0, ("blue", "red"), "B"), "B"), grade(item(1), "B")]
    found = compare(a, write_results(tmp_path / "b", MANIFEST, rows))
    assert (found.other_items, found.flips, found.settings) == (1, [], {})


def test_runs_without_a_common_item_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match="no item in common"):
        compare(run(tmp_path / "a", "A"), run(tmp_path / "b", "A", first=5))


def test_the_command_says_it_in_words_and_as_json(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", "AABB" * 8), run(tmp_path / "b", "BBAA" * 8, model={"asked": "[b]large"})
    plain = CliRunner().invoke(app, ["diff", str(a.path), str(b.path)])
    assert plain.exit_code == 0, plain.output
    assert "[b]large" in plain.stdout and "50.0 and 50.0: +0.0" in plain.stdout and "and 12 more" in plain.stdout
    told = json.loads(CliRunner().invoke(app, ["diff", str(a.path), str(b.path), "--json"]).stdout)
    assert len(told["flips"]) == 32 and told["score"]["p"] == 1.0
    same = CliRunner().invoke(app, ["diff", str(a.path), str(a.path)])
    assert "the two manifests say the same" in same.stdout and "0 gained, 0 lost" in same.stdout
