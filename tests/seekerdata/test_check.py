"""check: a good dataset passes; each way of breaking one is noticed by its own invariant."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from seekerdata import check
from seekerdata.shards import read

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(run: Path) -> dict[str, list[Row]]:
    return {config: list(read(run / "dataset", config)) for config in ("qa", "sft", "rl")}


def test_a_good_dataset_passes(run: Path) -> None:
    verdicts = check.check(run / "dataset")
    assert len(verdicts) > 12 and all(verdict.rows for verdict in verdicts)
    assert not [verdict for verdict in verdicts if verdict.failed]
    assert any("replay" in verdict.name for verdict in verdicts)


def user_text(row: Row, text: str) -> None:
    row["messages"][1]["content"][-1]["text"] += text


def first_call(row: Row) -> Row:
    return next(call for m in row["messages"] if m["loss"] for call in m["tool_calls"])["function"]["arguments"]


def last_text(row: Row, text: str) -> None:
    row["messages"][-1]["content"][0]["text"] = text


def set_first_frame(row: Row, key: str, value: object) -> None:
    next(b for b in row["messages"][1]["content"] if b["type"] == "image")[key] = value


BROKEN: list[tuple[str, Callable[[Row], str], Callable[[Row], object]]] = [
    ("qa", check.mark, lambda r: r.update(image=r["raw_image"])),
    ("qa", check.mark, lambda r: r.update(image=PIL.Image.new("RGB", (8, 8)))),
    ("qa", check.mark, lambda r: r.update(mask={"size": r["mask"]["size"], "counts": ""})),
    ("qa", check.inside, lambda r: r.update(box_xyxy=[-5, 0, 4, 4])),
    ("qa", check.inside, lambda r: r.update(window_s=[0.0, 9999.0])),
    ("qa", check.no_secret, lambda r: r.update(question="Authorization: Bearer " + "a1" * 20)),
    ("qa", check.gold_scores, lambda r: r.update(answer="Q", options=["x", "y"])),
    ("qa", check.gold_scores, lambda r: r.update(answer="", options=[])),
    ("sft", check.opaque_names, lambda r: first_call(r).update(frame_path="/data/a.jpg")),
    ("sft", check.opaque_names, lambda r: first_call(r).update(frame_path=5, video_path=["video"])),
    ("sft", check.opaque_names, lambda r: user_text(r, Path(r["video_path"]).stem)),
    ("sft", check.true_stamps, lambda r: set_first_frame(r, "time_s", 3.21)),
    ("sft", check.placeholders, lambda r: r["images"].pop()),
    ("sft", check.placeholders, lambda r: user_text(r, "<image>")),
    ("sft", check.grounded_thoughts, lambda r: r["messages"][2]["content"][0].update(text="At 777.7 s it falls.")),
    ("sft", check.answered, lambda r: last_text(r, "<answer>nothing like it</answer>")),
    ("sft", check.answered, lambda r: last_text(r, "no answer")),
    ("sft", check.answered, lambda r: r["messages"][-1].update(loss=False)),
]


@pytest.mark.parametrize(("config", "test", "damage"), BROKEN)
def test_damage_is_noticed(
    rows: dict[str, list[Row]], config: str, test: Callable[[Row], str], damage: Callable[[Row], object]
) -> None:
    row = copy.deepcopy(next(r for r in rows[config] if r.get("calls", 1)))
    assert check._fault(test, row) == ""
    damage(row)
    assert check._fault(test, row) != ""


def test_replay_needs_the_recorded_pixels(rows: dict[str, list[Row]], run: Path) -> None:
    row = copy.deepcopy(rows["sft"][0])
    set_first_frame(row, "sha256", "0" * 16)
    assert "recorded 0000" in check._fault(lambda r: check.replays(r, run / "videos"), row)
