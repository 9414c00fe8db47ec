"""A whole build by models over a server at its worst: every fault happens, and kills; all counts add up exactly."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from clips import make_clip
from material import ROOT
from servers.annotator import FAULTS, Annotator, Faults, Known, role_of
from servers.openai_server import ChatServer, Request
from typer.testing import CliRunner

from seekerdata import judge
from seekerdata.build import STAGES
from seekerdata.cli import app
from seekerdata.ledger import Ledger

KEY = "sk-local-0123456789"
NAME = "openai-api/local/any"
RETRIES = 4
REPEATED = "again in"
"""In lines of the log that stand for another request within the same call."""
OPTIONS = ["It moves to the right.", "It stays.", "It grows.", "It turns."]


def rows(count: int) -> list[Known]:
    return [
        Known(
            id=f"q{n}",
            question=f"In scene number {n}, what does the white square do?",
            words="the white square",
            tag="small white square on grey",
            window_s=(0.5, 1.5),
            answer="A" if n % 2 else "To the right.",
        )
        for n in range(count)
    ]


def folder_of(known: list[Known], folder: Path) -> Path:
    """Two clips with all the questions about them, every other one with options; boxes are annotated."""
    videos = [make_clip(folder / f"videos/{name}.mp4").name for name in ("a", "b")]
    with open(folder / "questions.jsonl", "w") as file:
        for n, row in enumerate(known):
            box = {"time": 1.0, "xyxy": [19, 17, 33, 31]}
            given = {"options": OPTIONS, "answer": "A"} if row.answer == "A" else {"answer": OPTIONS[0]}
            fields = {"id": row.id, "video": videos[n % 2], "question": row.question, "annotations": {"box": box}}
            file.write(json.dumps({**fields, **given}) + "\n")
    return folder


def recipe(folder: Path, out: Path, url: str, workers: int) -> Path:
    model = {"model": NAME, "base_url": url, "concurrency": 24, "timeout_s": 2, "retries": RETRIES}
    judged = {"by": "model", "model": model}
    values = {
        "name": "faults",
        "out": str(out),
        "source": {"use": "jsonl", "path": str(folder)},
        "filter": judged,
        "verify": {**judged, "max_frames": 2},
        "render": judged,
        "solve": {
            "by": {"use": "model", "model": model},
            "judge": model,
            "tries": 3,
            "rollout": {"overview_max_frames": 2, "tools": {"crop_max_frames": 4}},
        },
        "dataset": {"media": "embedded"},
        "engine": {"workers": workers},
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(values))
    return path


def run(path: Path) -> None:
    """Run the command to its end, knowing nothing that an earlier one kept in memory."""
    judge._CACHE.clear()
    done = CliRunner().invoke(app, ["build", str(path)])
    assert done.exit_code == 0, done.output


def kill(path: Path, server: ChatServer, after: int) -> None:
    """Run the command in a process of its own and kill it, with its workers, once the server has seen `after` calls."""
    command = [sys.executable, "-m", "seekerdata.cli", "build", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(server.requests) < after:
            time.sleep(0.02)
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
        while server.sockets:  # what its workers had sent is still counted
            time.sleep(0.02)


def finished(out: Path) -> set[tuple[str, str]]:
    """The (stage, id) that need not be done again."""
    ledger = Ledger(out / "run.db")
    try:
        return {(stage, row.id) for stage in STAGES for row in ledger.rows(stage) if not row.retryable}
    finally:
        ledger.close()


def attempts(out: Path) -> Counter[tuple[str, str]]:
    """How often the ledger has noted what an item took at a stage."""
    if not out.exists():
        return Counter()
    with closing(sqlite3.connect(out / "run.db")) as database:
        return Counter(database.execute("SELECT stage, id FROM attempts").fetchall())


def repeats(out: Path, words: str = REPEATED) -> Counter[tuple[str, str]]:
    """How often the log says that a request was made once more, by (stage, id)."""
    text = (out / "run.log").read_text() if out.exists() else ""
    lines = [line.split(maxsplit=3) for line in text.splitlines()]
    return Counter((stage, name.removesuffix(":")) for _, stage, name, text in lines if words in text)


def status_counts(out: Path, stage: str) -> Counter[str]:
    return Counter(json.loads(line)["status"] for line in (out / f"{stage}.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("count", "workers", "kills"),
    [(24, 1, (50,)), pytest.param(500, 2, (700, 900, 1100), marks=pytest.mark.slow)],
)
def test_nothing_is_lost_and_nothing_paid_twice(
    count: int, workers: int, kills: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", KEY)
    monkeypatch.setattr("seekerdata.patience.FIRST_S", 0.05)
    known = rows(count)
    annotator = Annotator(known)
    faults = Faults(annotator)
    lost: Counter[tuple[str, str]] = Counter()
    unsaid: Counter[tuple[str, str]] = Counter()

    def whose(request: Request) -> tuple[str, str]:
        role = role_of(request)
        return ("solve" if role == "judge" else role), annotator.known(request).id

    with ChatServer(faults, key=KEY) as server:
        path, out = recipe(folder_of(known, tmp_path / "data"), tmp_path / "run", server.url, workers), tmp_path / "run"
        for kill_after in kills:
            start, logged, before = len(server.requests), repeats(out), attempts(out)
            kill(path, server, start + kill_after)
            noted = set(attempts(out) - before)
            lost.update(key for key in map(whose, server.requests[start:]) if key not in noted)
            unsaid.update({key: n for key, n in (repeats(out) - logged).items() if key not in noted})
            paid, after = finished(out), len(server.requests)
        run(path)
        assert not paid & {whose(request) for request in server.requests[after:]}, "nothing finished is asked again"
        asked = after
        while len(server.requests) > asked:  # rows whose judge failed are tried again by the next run
            asked = len(server.requests)
            run(path)
    ledger = Ledger(out / "run.db")
    (spent,) = ledger.spent()
    ledger.close()
    timeouts = repeats(out, "attempt_timeout") - Counter(map(whose, faults.stalled))
    counted = spent.calls + repeats(out).total() + lost.total() - unsaid.total()
    assert counted - timeouts.total() <= asked <= counted, "a busy machine may give up before its request is out"
    assert set(faults.happened) == set(FAULTS), "all faults happened"
    assert max(server.counts.values()) <= (1 + RETRIES) * (1 + len(kills)), "retries are bounded"
    check_rows(out, count)
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def check_rows(out: Path, count: int) -> None:
    """Every question has one row at every stage it reaches, and what it did not pass says why."""
    reached = count
    for stage in STAGES[:-1]:
        counts = status_counts(out, stage)
        assert counts.total() == reached, stage
        reached = counts["kept"]
    assert reached >= 0.7 * count
    for line in (out / "run.log").read_text().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:]+Z (filter|verify|render|solve) q\d+: ", line)
    failures = [json.loads(line) for stage in STAGES for line in (out / f"{stage}.jsonl").read_text().splitlines()]
    reasons = {row["reason"].split(":")[0] for row in failures if row["status"] == "failed"}
    assert reasons <= {"model_refused", "bad_verdict"}, "all other faults pass within the run or the next"
