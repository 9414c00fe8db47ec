"""solve in a whole run: what two judges and recoveries leave in the manifest, the card, the report and the dataset."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from clips import make_clip
from servers.loopback import Refused
from servers.openai_server import Called, ChatServer, Request, Said
from servers.openai_server import Reply as Answer
from typer.testing import CliRunner

from seekerdata.build import BuildRecipe, build
from seekerdata.check import answered, check
from seekerdata.cli import app
from seekerdata.ledger import Ledger
from seekerdata.shards import read

FIRST, SECOND, PLAYER = (f"openai-api/local/{name}" for name in ("first", "second", "player"))
DEEDS = ("jump", "hide", "spin", "slide", "shrink", "grow")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    monkeypatch.setattr("seekerdata.judge._CACHE", {})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six open questions about the moving square of a clip; the answer to each is `upwards`."""
    make_clip(tmp_path / "data" / "videos" / "a.mp4", seconds=4, size=(160, 120))
    box = {"time": 1.0, "xyxy": [10, 10, 60, 40]}
    notes = {"tag": "white square", "unique": True, "window": [0.5, 3.5], "box": box}
    row = {"video": "a.mp4", "options": [], "answer": "upwards", "annotations": notes}
    rows = [{"id": deed, "question": f"Which way does the square {deed}?", **row} for deed in DEEDS]
    (tmp_path / "data" / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data"


def recipe(data: Path, out: Path, url: str, **solve: Any) -> dict[str, Any]:
    def model(name: str) -> dict[str, Any]:
        return {"model": name, "base_url": url, "retries": 0}

    named = {role: model(name) for role, name in solve.items() if isinstance(name, str)}
    return {
        "name": "by-model",
        "out": str(out),
        "source": {"use": "jsonl", "path": str(data)},
        "solve": {"by": {"use": "model", "model": model(PLAYER)}, **solve, **named},
        "engine": {"workers": 1},
    }


def deed_of(request: Request) -> str:
    (found,) = {deed for deed in DEEDS if re.search(rf"\b{deed}\b", request.text)}
    return found


SCORES: dict[str, tuple[float | None, float | None]] = {
    "jump": (1, 1),
    "hide": (1, 0.5),
    "spin": (0.5, 0.5),
    "slide": (0, 0),
    "shrink": (1, None),
    "grow": (None, 1),
}


def two_judges(request: Request) -> Answer:
    """The player answers in other words than the reference's; each judge scores as the table says, or breaks down."""
    if not request.schema:
        return Said("<think>I see it.</think>\n<answer>to the top</answer>")
    score = SCORES[deed_of(request)][0 if request.body["model"] == "first" else 1]
    return Refused(500) if score is None else Said(json.dumps({"score": score, "reason": "so it is"}))


WANTED = {
    "first": FIRST,
    "second": SECOND,
    "answers": 4,
    "table": {
        "1": {"1": 1, "0.5": 1, "0": 0},
        "0.5": {"1": 0, "0.5": 1, "0": 0},
        "0": {"1": 0, "0.5": 0, "0": 1},
    },
    "exact": 0.75,
    "kappa": 0.6364,
    "kappa_quadratic": 0.8,
    "first_failed": 1,
    "second_failed": 1,
}


def fates(out: Path) -> dict[str, tuple[str, str]]:
    rows = map(json.loads, (out / "solve.jsonl").read_text().splitlines())
    return {row["id"]: (row["status"], row["reason"]) for row in rows}


def test_two_judges_are_compared_where_a_user_looks(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(two_judges) as server:
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(recipe(data, tmp_path / "two", server.url, judge=FIRST, second_judge=SECOND)))
        printed = CliRunner().invoke(app, ["build", str(path)])
        assert printed.exit_code == 0, printed.output
        asked = [request.body["model"] for request in server.requests]
        monkeypatch.setattr("seekerdata.judge._CACHE", {})
        one = build(BuildRecipe.model_validate(recipe(data, tmp_path / "one", server.url, judge=FIRST)))
        assert one.complete and "agreement" not in one.stages[-2]
    assert fates(tmp_path / "two") == fates(tmp_path / "one"), "the second judge decides nothing"
    assert [asked.count(name) for name in ("player", "first", "second")] == [6, 6, 5]

    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert manifest["stages"][-2]["agreement"] == WANTED
    card = (tmp_path / "two" / "dataset" / "README.md").read_text()
    lines = ["| first \\ second | 1 | 0.5 | 0 |", "|---|---:|---:|---:|", "| 1 | 1 | 1 | 0 |", "| 0.5 | 0 | 1 | 0 |"]
    table = "\n".join(["", "", *lines, "| 0 | 0 | 0 | 1 |", "", ""])
    assert table in card and "kappa: 0.8 with quadratic weights,\n0.6364 unweighted" in card
    assert "## Two judges" not in (tmp_path / "one" / "dataset" / "README.md").read_text()
    assert not [verdict for verdict in check(tmp_path / "two" / "dataset", data / "videos") if verdict.failed]
    words = " ".join(printed.stdout.split())
    assert f"two judges: {FIRST} (decides) and {SECOND} scored 4 open answers" in words
    assert "equal scores 0.75, Cohen's kappa 0.8 with quadratic weights, 0.6364 unweighted" in words
    assert "could not judge: first 1, second 1" in words

    assert "second_judge: judge_failed: model_failed: " in (tmp_path / "two" / "run.log").read_text()

    ledger = Ledger(tmp_path / "two" / "run.db")
    try:
        assert {usage.model: usage.calls for usage in ledger.spent()} == {PLAYER: 6, FIRST: 6, SECOND: 5}
        facts = json.loads(ledger.output("solve", "shrink"))["sample"]["provenance"]["solve"]
        assert (facts["judge"]["score"], facts["calls"], facts["judge"]["calls"]) == (1, 1, 1)
        (second,) = facts["second_judge"]
        assert (second["answer"], second["first"], second["score"]) == ("to the top", 1, None)
        assert second["error"].startswith("judge_failed: model_failed: ")
        dropped = ledger.current("solve", "spin")
        assert dropped and [entry["score"] for entry in json.loads(dropped.output)["second_judge"]] == [0.5]
    finally:
        ledger.close()


def test_an_answer_in_other_words_is_right_only_if_a_judge_says_so(data: Path, tmp_path: Path) -> None:
    with ChatServer(two_judges) as server:
        build(BuildRecipe.model_validate(recipe(data, tmp_path / "run", server.url, judge=FIRST)))
    row = next(read(tmp_path / "run" / "dataset", "sft"))
    assert answered(row) == ""
    row["provenance"]["solve"]["judge"]["score"] = 0.5
    assert answered(row) == "answers 'to the top', gold is 'upwards'"
    del row["provenance"]["solve"]["judge"]
    assert answered(row) == "answers 'to the top', gold is 'upwards'"


def recovering(request: Request) -> Answer:
    """Asks for a frame by a name that is not there, then for the right one, then answers."""
    frames = ("frame.jpg", "prompt_1")
    if request.replies < len(frames):
        return Said(
            "<think>Which one?</think>", (Called("view_visual_prompt", {"frame_path": frames[request.replies]}),)
        )
    return Said("<think>This one.</think>\n<answer>upwards</answer>")


def test_recoveries_can_be_told_apart_in_the_dataset_and_pass_its_checks(data: Path, tmp_path: Path) -> None:
    with ChatServer(recovering) as server:
        build(BuildRecipe.model_validate(recipe(data, tmp_path / "run", server.url)))
    rows = list(read(tmp_path / "run" / "dataset", "sft"))
    assert len(rows) == len(DEEDS) and {row["kind"] for row in rows} == {"recovery"}
    for row in rows:
        spoken = [turn for turn in row["messages"] if turn["role"] == "assistant"]
        assert [turn["loss"] for turn in spoken] == [False, True, True]
        assert row["messages"][3]["content"][0]["text"].startswith("Error: ")
    assert not [verdict for verdict in check(tmp_path / "run" / "dataset", data / "videos") if verdict.failed]
    assert "| recovery, 2 calls | 6 |" in (tmp_path / "run" / "dataset" / "README.md").read_text()
