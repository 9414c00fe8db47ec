"""The build: stage files that tell every item's fate, resume after a kill, ranks, locks, a full disk."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from clips import make_clip

from seekerdata.build import STAGES, BuildRecipe, Report, build
from seekerdata.errors import SeekerError
from seekerdata.recipe import load_recipe

ROOT = Path(__file__).parent.parent.parent


def rows(count: int = 8) -> list[dict[str, Any]]:
    """Questions about the moving square of a clip, with boxes and windows."""
    box = {"time": 1.0, "xyxy": [10, 10, 60, 40]}
    notes = {"tag": "white square", "unique": True, "window": [0.5, 3.5], "box": box}
    row = {
        "video": "a.mp4",
        "options": ["Jumps", "Slides", "Spins", "Hides"],
        "answer": "B",
    }
    asked = (f"What does the square do on beat {n}?" for n in range(count))
    return [{"id": f"q{n}", "question": words, **row, "annotations": notes} for n, words in enumerate(asked)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_clip(tmp_path / "data" / "videos" / "a.mp4", seconds=4, size=(160, 120))
    write(tmp_path / "data", rows())
    return tmp_path / "data"


def write(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "qa.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def recipe(data: Path, out: Path, **changes: Any) -> BuildRecipe:
    values = {"name": "t", "out": out, "source": {"use": "jsonl", "path": data}, "engine": {"workers": 1}}
    return BuildRecipe.model_validate(values | changes)


def fates(out: Path, stage: str) -> dict[str, tuple[str, str]]:
    lines = [json.loads(line) for line in (out / f"{stage}.jsonl").read_text().splitlines()]
    return {line["id"]: (line["status"], line["reason"]) for line in lines}


def contents(out: Path) -> dict[str, str]:
    """Hash of everything that must not differ between an interrupted and an uninterrupted run."""
    files = [*(out / "dataset").rglob("*"), *out.glob("*.jsonl"), *(out / "frames").rglob("*")]
    kept = (path for path in sorted(files) if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def made(report: Report) -> dict[str, int]:
    return {stage["name"]: stage["made"] for stage in report.stages}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a build that nothing interrupts leaves."""
    folder = tmp_path_factory.mktemp("whole")
    make_clip(folder / "data" / "videos" / "a.mp4", seconds=4, size=(160, 120))
    write(folder / "data", rows())
    build(recipe(folder / "data", folder / "out"))
    return contents(folder / "out")


def test_every_item_of_every_stage_is_a_line(data: Path, tmp_path: Path) -> None:
    lines = rows()
    lines[1]["question"] = "How does the camera move in this video?"
    lines[2]["annotations"] = {**lines[2]["annotations"], "unique": False, "reason": "two squares"}
    lines[3]["annotations"] = {}
    lines[4]["answer"] = "Z"
    lines[5]["video"] = "gone.mp4"
    write(data, lines)
    report = build(recipe(data, tmp_path / "out"))
    assert report.rows == {"qa": 3, "sft": 3, "rl": 0}
    source, verify = fates(tmp_path / "out", "source"), fates(tmp_path / "out", "verify")
    assert [source[f"q{n}"][0] for n in range(8)] == ["kept"] * 4 + ["failed"] * 2 + ["kept"] * 2
    assert "qa.jsonl:5" in source["q4"][1] and "gone.mp4" in source["q5"][1]
    assert fates(tmp_path / "out", "filter")["q1"] == ("dropped", fates(tmp_path / "out", "filter")["q1"][1])
    assert verify["q2"] == ("dropped", "ambiguous: two squares")
    assert verify["q3"][1].startswith("missing: ")
    assert set(fates(tmp_path / "out", "select")) == {"q0", "q6", "q7"}


def test_a_second_run_makes_nothing_and_changes_nothing(data: Path, tmp_path: Path) -> None:
    first = build(recipe(data, tmp_path / "out"))
    before = contents(tmp_path / "out")
    second = build(recipe(data, tmp_path / "out"))
    assert set(made(first).values()) == {8} and set(made(second).values()) == {0}
    assert contents(tmp_path / "out") == before


def test_workers_and_row_order_do_not_matter(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "one"))
    build(recipe(data, tmp_path / "two", engine={"workers": 2}))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_changed_stage_redoes_it_and_what_follows(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    changed = build(recipe(data, tmp_path / "out", render={"shapes": ["arrow"]}))
    redone = {"render": 8, "solve": 7, "select": 7}  # one had the arrow already: what it looks like did not change
    assert made(changed) == dict.fromkeys(STAGES[:4], 0) | redone
    back = build(recipe(data, tmp_path / "out"))
    assert set(made(back).values()) == {0}, "rows of the earlier recipe are still there"


def test_a_changed_row_redoes_that_row(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    lines = rows()
    lines[3]["answer"] = "A"
    write(data, lines)
    report = build(recipe(data, tmp_path / "out"))
    assert made(report)["source"] == 1 and made(report)["select"] == 1


def test_a_longer_list_redoes_no_entry(tmp_path: Path) -> None:
    world = {"use": "world", "level": 1, "questions_per_video": 1}
    build(recipe(tmp_path, tmp_path / "out", source={**world, "videos": 2}))
    longer = build(recipe(tmp_path, tmp_path / "out", source={**world, "videos": 3}))
    assert made(longer)["source"] == 1


def test_a_line_added_above_redoes_no_other_row(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    write(data, [{**rows()[0], "id": "new"}, *rows()])
    assert made(build(recipe(data, tmp_path / "out")))["source"] == 1


def test_a_row_that_failed_is_read_again(data: Path, tmp_path: Path) -> None:
    write(data, [{**rows()[0], "video": "late.mp4"}])
    build(recipe(data, tmp_path / "out"))
    (data / "videos" / "late.mp4").write_bytes((data / "videos" / "a.mp4").read_bytes())
    assert build(recipe(data, tmp_path / "out")).rows["qa"] == 1


def test_a_moved_folder_redoes_nothing_after_the_source(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    data.rename(tmp_path / "moved")
    assert made(build(recipe(tmp_path / "moved", tmp_path / "out")))["filter"] == 0


def test_a_removed_row_leaves_the_dataset(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    write(data, rows(7))
    assert build(recipe(data, tmp_path / "out")).rows["qa"] == 7
    build(recipe(data, tmp_path / "fresh"))
    assert contents(tmp_path / "out").items() >= contents(tmp_path / "fresh").items()


def test_ranks_and_a_merge_give_the_same_dataset(whole: dict[str, str], data: Path, tmp_path: Path) -> None:
    shares = [build(recipe(data, tmp_path / "out"), rank=n, world=3) for n in range(3)]
    assert sum(made(share)["source"] for share in shares) == 8
    assert [stage["name"] for stage in shares[0].stages] == list(STAGES[:4])
    assert not any(share.complete for share in shares)
    merged = build(recipe(data, tmp_path / "out"))
    assert made(merged)["source"] == 0 and made(merged)["render"] == 8
    assert contents(tmp_path / "out") == whole


def test_ranks_go_on_where_a_merging_call_has_seen_all(whole: dict[str, str], data: Path, tmp_path: Path) -> None:
    for n in range(2):
        build(recipe(data, tmp_path / "out"), rank=n, world=2)
    build(recipe(data, tmp_path / "out"), until="render")
    shares = [build(recipe(data, tmp_path / "out"), rank=n, world=2) for n in range(2)]
    assert sum(made(share)["solve"] for share in shares) == 8
    assert [stage["name"] for stage in shares[0].stages][-1] == "solve"
    merged = build(recipe(data, tmp_path / "out"))
    assert made(merged)["solve"] == 0
    assert contents(tmp_path / "out") == whole


def test_until_stops_early_and_ranks_can_go_on(data: Path, tmp_path: Path) -> None:
    report = build(recipe(data, tmp_path / "out"), until="verify")
    assert [stage["name"] for stage in report.stages] == ["source", "filter", "verify"]
    assert made(build(recipe(data, tmp_path / "out"), rank=0, world=1))["source"] == 0


def killed_build(rows_done: int, recipe_file: Path, out: Path) -> None:
    """The command in a process that is killed instead of noting one row more."""
    from seekerdata.cli import app
    from seekerdata.ledger import Ledger, Row

    left, add = itertools.count(rows_done, -1), Ledger.add

    def counting(ledger: Ledger, row: Row) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        add(ledger, row)

    Ledger.add = counting  # type: ignore[method-assign]
    app(["build", str(recipe_file), "--out", str(out), "--json"])


@pytest.fixture(scope="module")
def processes() -> Any:
    """Makes processes that have the libraries loaded already: copies of one that does nothing else."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["seekerdata.cli", "seekerdata.build", "seekerdata.world", "av", "cv2", "datasets"])
    return context


@pytest.fixture
def recipe_file(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"name: t\nout: {tmp_path}/none\nsource: {{use: jsonl, path: {data}}}\nengine: {{workers: 1}}\n")
    return path


@pytest.mark.parametrize("rows_done", [0, 3, 17, 40, 55])
def test_a_kill_loses_at_most_the_item_under_way(
    whole: dict[str, str], data: Path, tmp_path: Path, recipe_file: Path, processes: Any, rows_done: int
) -> None:
    killed = processes.Process(target=killed_build, args=(rows_done, recipe_file, tmp_path / "out"))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    report = build(recipe(data, tmp_path / "out"))
    assert sum(made(report).values()) == 8 * len(STAGES) - rows_done
    assert contents(tmp_path / "out") == whole


def test_the_second_run_on_a_folder_is_refused_with_pid_and_host(data: Path, tmp_path: Path) -> None:
    import socket

    from seekerdata.run_folder import RunFolder

    with RunFolder(tmp_path / "out"):
        words = rf"pid {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(SeekerError, match=words):
            build(recipe(data, tmp_path / "out"))
        with pytest.raises(SeekerError, match=words):
            build(recipe(data, tmp_path / "out"), rank=0, world=2)
    with RunFolder(tmp_path / "out", rank=1, world=2), pytest.raises(SeekerError, match="is working here"):
        build(recipe(data, tmp_path / "out"))
    build(recipe(data, tmp_path / "out"))


def test_a_rank_beyond_the_world_is_a_mistake(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match="ranks count from 0 to 1"):
        build(recipe(data, tmp_path / "out"), rank=2, world=2)


def test_a_full_disk_is_one_line_and_the_run_can_go_on(
    whole: dict[str, str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SeekerError, match=r"cannot write .*No space left on device; finished work is kept"):
            build(recipe(data, tmp_path / "out"))
    assert not list((tmp_path / "out").rglob(".tmp-*"))
    assert made(build(recipe(data, tmp_path / "out")))["source"] == 0
    assert contents(tmp_path / "out") == whole


def test_a_disk_that_fills_up_while_the_dataset_is_written_keeps_the_old_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from seekerdata import shards

    build(recipe(data, tmp_path / "out"))
    before = contents(tmp_path / "out")

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shards, "_write_shard", full)
    with pytest.raises(SeekerError, match="No space left on device"):
        build(recipe(data, tmp_path / "out"))
    assert contents(tmp_path / "out") == before


def test_a_ledger_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    from seekerdata.ledger import Ledger, Row
    from seekerdata.stage import Status

    ledger = Ledger(tmp_path / "run.db")
    ledger.add(Row("source", "a", "k", Status.KEPT))
    ledger._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(SeekerError, match="is full"):
        ledger.add(Row("source", "b", "k", Status.KEPT, output="x" * 1_000_000))


def test_a_file_that_is_no_ledger_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_text("not a database, by far" * 100)
    with pytest.raises(SeekerError, match=r"cannot use .*run\.db as the run's ledger"):
        recipe_free = {"name": "t", "out": tmp_path, "source": {"use": "world", "level": 1, "videos": 1}}
        build(BuildRecipe.model_validate(recipe_free))


def test_an_unwritable_folder_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SeekerError, match="cannot be written"):
        build(recipe(data, tmp_path / "file" / "out"))


def test_a_bug_in_one_item_is_a_row_with_its_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seekerdata.stages.verify import Verify

    whole = Verify.process

    def broken(self: Verify, item: Any, workspace: Any, assigned: Any = None) -> Any:
        return 1 / 0 if item.sample.id == "q2" else whole(self, item, workspace, assigned)

    with monkeypatch.context() as patch:
        patch.setattr(Verify, "process", broken)
        report = build(recipe(data, tmp_path / "out"))
    assert fates(tmp_path / "out", "verify")["q2"] == ("failed", "bug: ZeroDivisionError: division by zero")
    assert "return 1 / 0" in report.bugs[0].error and report.rows["qa"] == 7
    assert build(recipe(data, tmp_path / "out")).rows["qa"] == 8, "a bug's row is tried again"


def test_shares_of_play_and_rl_are_exact(data: Path, tmp_path: Path) -> None:
    changes = {"solve": {"recovery": 0.25, "direct": 0.25}, "select": {"rl_share": 0.5}}
    report = build(recipe(data, tmp_path / "out", **changes))
    lines = [json.loads(line) for line in (tmp_path / "out" / "solve.jsonl").read_text().splitlines()]
    kinds = sorted(line["output"]["trajectory"]["kind"] for line in lines)
    assert kinds == ["direct"] * 2 + ["look"] * 4 + ["recovery"] * 2
    assert report.rows == {"qa": 8, "sft": 8, "rl": 4}


def test_a_question_asked_twice_is_kept_once(data: Path, tmp_path: Path) -> None:
    write(data, [*rows(3), {**rows()[1], "id": "again"}])
    report = build(recipe(data, tmp_path / "out"))
    dropped = [row for row in fates(tmp_path / "out", "select").items() if row[1][0] == "dropped"]
    assert dropped in ([("again", ("dropped", "duplicate: of q1"))], [("q1", ("dropped", "duplicate: of again"))])
    assert report.rows["sft"] == 3
    both = build(recipe(data, tmp_path / "out", select={"drop_duplicates": False}))
    assert both.rows["sft"] == 4 and made(both)["solve"] == 0


def test_shapes_are_in_equal_shares(data: Path, tmp_path: Path) -> None:
    build(recipe(data, tmp_path / "out"))
    lines = [json.loads(line) for line in (tmp_path / "out" / "render.jsonl").read_text().splitlines()]
    shapes = [line["output"]["sample"]["visual_prompts"][0]["shape"] for line in lines]
    assert len(set(shapes)) == 8


def test_manifest_says_what_was_run(data: Path, tmp_path: Path) -> None:
    first = recipe(data, tmp_path / "out")
    build(first)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {stage["name"] for stage in manifest["stages"]} == set(STAGES)
    assert manifest["versions"]["av"] and manifest["files"]
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == sha256
    (tmp_path / "again.yaml").write_text(json.dumps(manifest["recipe"]))
    again = load_recipe(BuildRecipe, tmp_path / "again.yaml")
    assert again.solve.fingerprint() == first.solve.fingerprint()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_processes_and_the_run_goes_on(
    whole: dict[str, str], data: Path, tmp_path: Path, recipe_file: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "seekerdata.cli", "build", str(recipe_file), "--out", str(tmp_path / "out")]
    with subprocess.Popen([*command, "--set", "engine.workers=2"], cwd=ROOT, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list((tmp_path / "out").glob("frames/*/*.jpg")):
            time.sleep(0.01)  # until both workers are at work
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)  # ends only when no worker holds stderr any more
    assert process.returncode == (75 if number is signal.SIGTERM else -signal.SIGKILL), errors
    assert (b"terminated; finished work is kept" in errors) == (number is signal.SIGTERM)
    build(recipe(data, tmp_path / "out"))
    assert contents(tmp_path / "out") == whole
