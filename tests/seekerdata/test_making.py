"""made_by: every column that a model made says by which, when and for how much; card and manifest add all of it up."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from time import struct_time
from typing import Any

import pytest
from clips import make_clip
from servers.loopback import Refused
from servers.openai_server import ChatServer, Request, Said
from servers.openai_server import Reply as Answer

from seekerdata.budget import Price
from seekerdata.build import BuildRecipe, build
from seekerdata.card import compared
from seekerdata.instructions import play_hash
from seekerdata.ledger import Ledger
from seekerdata.making import makings
from seekerdata.prompts import FILTER, JUDGE, RENDER, VERIFY
from seekerdata.recipe import load_recipe
from seekerdata.reference import put_phrase, put_vp
from seekerdata.shards import read

ROOT = Path(__file__).parent.parent.parent
NAME = "openai-api/local/Qwen/Qwen3-VL-32B-Instruct"
PRICE = f"prices={{{NAME}: {{input: 1000, output: 10000}}}}"
"""A reply of the server takes 100 + 10 tokens: 0.2 dollars."""
UTC = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def listening() -> Iterator[ChatServer]:
    """One server for all tests: inspect_ai keeps a model with the address that the environment first named."""
    with pytest.MonkeyPatch.context() as patch, ChatServer(script) as server:
        patch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
        patch.setenv("LOCAL_BASE_URL", server.url)
        yield server


@pytest.fixture
def server(listening: ChatServer, monkeypatch: pytest.MonkeyPatch) -> ChatServer:
    """The server as if nobody had asked it yet."""
    monkeypatch.setattr("seekerdata.judge._CACHE", {})
    monkeypatch.setattr(listening, "script", script)
    monkeypatch.setattr(listening, "requests", [])
    return listening


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three questions about a moving square: open, with options, and one that the filter rejects."""
    make_clip(tmp_path / "data" / "videos" / "a.mp4", seconds=4, size=(160, 120))
    boxed = {"video": "a.mp4", "annotations": {"box": {"time": 1.0, "xyxy": [10, 10, 60, 40]}}}
    rows = [
        {"id": "open", "question": "What does the white square do?", "options": [], "answer": "It moves on."},
        {"id": "letters", "question": "Where does the white square go?", "options": ["Up", "Right"], "answer": "B"},
        {"id": "bad", "question": "How does the camera move?", "options": [], "answer": "Not at all."},
    ]
    lines = (json.dumps(row | boxed) + "\n" for row in rows)
    (tmp_path / "data" / "qa.jsonl").write_text("".join(lines))
    return tmp_path / "data"


def verdict(system: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a model with eyes would say to one decision."""
    if system == FILTER.text:
        good = "camera" not in fields["question"]
        return {"is_valid": good, "category": "none" if good else "camera", "reason": "seen"}
    if system == VERIFY.text:
        rewritten = put_vp(fields["question"], "the white square")
        told = {"is_valid": True, "category": "none", "reason": "seen", "description": "the white square"}
        window = {"start_s": 0.5, "end_s": 2.0}
        texts = {"question": rewritten, "options": fields["options"], "shape": "rectangle"}
        return {**told, **texts, "tag": "small white square", "window": window}
    if system == RENDER.text:
        texts = [put_phrase(text, fields["phrase"]) for text in (fields["question"], *fields["options"])]
        return {"question": texts[0], "options": texts[1:]}
    assert system == JUDGE.text
    return {"score": 1, "reason": "the same"}


def script(request: Request) -> Answer:
    system = request.messages[0]["content"]
    if request.schema:
        last = [part["text"] for part in request.parts if part["type"] == "text"][-1]
        return Said(json.dumps(verdict(system, json.loads(last))))
    answer = "B" if "B. Right" in request.text else "It goes on."
    return Said(f"<think>I see it.</think><answer>{answer}</answer>")


def made(folder: Path, out: Path, *changes: str) -> Any:
    path = ROOT / "recipes/build/own_videos.yaml"
    recipe = load_recipe(
        BuildRecipe,
        path,
        [
            f"source.path={folder}",
            f"out={out}",
            "segment=annotated",
            "engine.workers=1",
            "select={rl_share: 1.0}",
            *changes,
        ],
    )
    return build(recipe)


def spent(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "manifest.json").read_text())["spent"]


def test_every_part_of_a_row_says_who_made_it(folder: Path, tmp_path: Path, server: ChatServer) -> None:
    report = made(folder, tmp_path / "out", PRICE)
    assert report.rows == {"qa": 2, "sft": 2, "rl": 2}, [stage["reasons"] for stage in report.stages]
    card = (tmp_path / "out/dataset/README.md").read_text()
    assert f"| filter | {NAME} | 3 | 300 | 30 | $0.60 |" in card and "In all 10 calls, 1,100 tokens, $2.00:" in card
    rows = {row["id"]: row for row in read(tmp_path / "out/dataset", "sft")}
    steps = {step["step"]: step for step in rows["open"]["made_by"]}
    assert list(steps) == ["filter", "verify", "render", "solve", "solve.judge"]
    prompts = [FILTER.hash, VERIFY.hash, RENDER.hash, play_hash("tool"), JUDGE.hash]
    assert [step["prompt"] for step in steps.values()] == prompts
    columns = [[], ["tag", "window_s", "question"], ["question"], ["messages"], []]
    assert [step["columns"] for step in steps.values()] == columns
    for step in steps.values():
        assert (step["model"], step["calls"], step["input_tokens"], step["output_tokens"]) == (NAME, 1, 100, 10)
        assert step["cost"] == pytest.approx(0.2) and UTC.fullmatch(step["time"])
    assert "solve.judge" not in {step["step"] for step in rows["letters"]["made_by"]}
    for row in read(tmp_path / "out/dataset", "rl"):
        assert not any(step["columns"] for step in row["made_by"][3:]), "a play stands in no column of an rl row"
    (first, _) = read(tmp_path / "out/dataset", "qa")
    assert [step["step"] for step in first["made_by"]] == ["filter", "verify", "render"]
    assert first["made_by"][1]["columns"] == ["tag", "window_s", "question", "options"]
    assert sum(row["calls"] for row in spent(tmp_path / "out")) == len(server.requests) == 10


def test_tries_and_removal_tests_say_who_made_them(folder: Path, tmp_path: Path, server: ChatServer) -> None:
    model = f"{{model: {NAME}, temperature: 1}}"
    player = f"policy: {{use: model, model: {model}}}, judge: {NAME}, removal_tests: [text_only]"
    changes = [f"select={{by: pass_at_k, k: 2, low: 0, high: 1, {player}}}", PRICE]
    made(folder, tmp_path / "out", *changes)
    row = next(row for row in read(tmp_path / "out/dataset", "rl") if row["id"] == "open")
    steps = {step["step"]: step for step in row["made_by"] if step["step"].startswith("select")}
    assert {name: (step["calls"], step["columns"]) for name, step in steps.items()} == {
        "select": (2, ["pass_rate", "pass_k"]),
        "select.judge": (2, []),
        "select.removal.tests.text_only": (1, ["right_text_only"]),
        "select.removal.tests.text_only.judge": (1, []),
    }
    assert all(UTC.fullmatch(step["time"]) and step["prompt"] and step["cost"] for step in steps.values())
    asked = len(server.requests)
    made(folder, tmp_path / "out", *changes, "select.high=0.5")
    again = next(row for row in read(tmp_path / "out/dataset", "sft") if row["id"] == "open")
    assert {s["time"] for s in again["made_by"]} <= {s["time"] for s in row["made_by"]}, "decided anew, made then"
    assert len(server.requests) == asked


def test_dropped_failed_and_repeated_calls_are_in_the_sums(folder: Path, tmp_path: Path, server: ChatServer) -> None:
    def shaky(request: Request) -> Answer:
        return Refused(500) if request.messages[0]["content"] == VERIFY.text else script(request)

    out, once = tmp_path / "out", "verify.model.retries=0"
    server.script = shaky
    made(folder, out, once)
    assert [(row["stage"], row["calls"]) for row in spent(out)] == [("filter", 3), ("verify", 2)]
    server.script = script
    made(folder, out, once)
    sums = {row["stage"]: row for row in spent(out)}
    assert {name: row["calls"] for name, row in sums.items()} == {"filter": 3, "verify": 4, "render": 2, "solve": 3}
    assert len(server.requests) == 12
    assert (sums["verify"]["input_tokens"], sums["verify"]["cost"]) == (200, None), "no reply, no tokens; no price"
    card = (out / "dataset/README.md").read_text()
    assert f"In all 12 calls, 1,100 tokens, $0.00 and the unknown price of {NAME}: all calls of the run" in card
    assert f"| verify | {NAME} | 4 | 200 | 20 | unknown price |" in card
    (row, _) = read(out / "dataset", "sft")
    assert {step["cost"] for step in row["made_by"]} == {None}


def test_a_continued_run_keeps_its_times(
    folder: Path, tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def times() -> list[str]:
        return [step["time"] for row in read(tmp_path / "out/dataset", "sft") for step in row["made_by"]]

    def bytes_() -> list[bytes]:
        return [path.read_bytes() for path in sorted((tmp_path / "out/dataset").rglob("*.parquet"))]

    made(folder, tmp_path / "out")
    told, kept, asked = times(), bytes_(), len(server.requests)
    monkeypatch.setattr("time.gmtime", lambda *_: struct_time((2030, 1, 1, 0, 0, 0, 0, 1, 0)))
    made(folder, tmp_path / "out")
    assert len(server.requests) == asked and times() == told and bytes_() == kept
    made(folder, tmp_path / "out", "verify.max_frames=2")
    assert told[0] in times() and "2030-01-01T00:00:00Z" in times(), "what was made again says when"


def test_ranks_bring_their_times(folder: Path, tmp_path: Path, server: ChatServer) -> None:
    path, out = ROOT / "recipes/build/own_videos.yaml", tmp_path / "out"
    recipe = load_recipe(
        BuildRecipe, path, [f"source.path={folder}", f"out={out}", "segment=annotated", "engine.workers=1"]
    )
    for rank in range(2):
        build(recipe, rank, 2)
    build(recipe)
    assert all(UTC.fullmatch(step["time"]) for row in read(out / "dataset", "qa") for step in row["made_by"])
    assert {row["stage"]: row["calls"] for row in spent(out)}["verify"] == 2


def test_without_models_there_is_nothing_to_tell(run: Path) -> None:
    assert all(row["made_by"] == [] for config in ("qa", "sft", "rl") for row in read(run / "dataset", config))
    assert spent(run) == [] and "No model was asked." in (run / "dataset/README.md").read_text()
    ledger = Ledger(run / "run.db")
    try:
        assert ledger.made_at("filter", ledger.ids("filter", "kept")[0]) is None  # type: ignore[arg-type]
    finally:
        ledger.close()


def test_a_price_is_for_a_million_tokens_and_may_be_unknown() -> None:
    facts = {"model": "a/b", "prompt": "h", "calls": 2, "input_tokens": 3_000_000, "output_tokens": 500_000}
    prices = {"a/b": Price(input=2, output=12)}
    (making,) = makings({"filter": facts}, {"id"}, lambda stage: None, prices)
    assert making["cost"] == 3 * 2 + 0.5 * 12
    (making,) = makings({"filter": facts}, {"id"}, lambda stage: None, {"a/other": prices["a/b"]})
    assert making["cost"] is None
    assert makings({"source": {"model": "a camera", "use": "jsonl"}}, {"id"}, lambda stage: None, prices) == []


def test_the_cards_table_stands_beside_the_papers() -> None:
    names = ("source", "filter", "verify", "segment", "render", "solve", "select")
    kept = (200, 100, 80, 60, 60, 48, 40)
    before = (200, *kept)
    stages = [
        {"name": name, "kept": k, "dropped": b - k, "failed": 0, "reasons": {}}
        for name, k, b in zip(names, kept, before, strict=False)
    ]
    table = {row["name"]: row for row in compared(stages, {"qa": 60, "sft": 40, "rl": 4})}
    assert [row["share"] for row in table.values()] == [
        *("100.0 %", "50.0 %", "80.0 %", "75.0 %", "100.0 %", "80.0 %", "83.3 %", "10.0 %"),
    ]
    paper = [(row.get("paper"), row.get("paper_share")) for row in table.values()]
    assert paper == [
        *(("147,245", "100.0 %"), ("65,594", "44.5 %"), ("48,457", "73.9 %"), ("41,083", "84.8 %")),
        *(("40,929", "99.6 %"), ("34,200", "83.6 %"), (None, None), ("4,100", "12.0 %")),
    ]
