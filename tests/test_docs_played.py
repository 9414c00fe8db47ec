"""The documentation is true: the commands of its pages are typed in their order, in a small folder (`doc_stage.py`).

By default all that is quick; `-m slow` also what trains, asks models for long, or waits.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from clips import make_clip, make_target
from doc_commands import Command, blocks, commands, inside
from doc_stage import Stage, agree, block_of, small
from material import ROOT
from published_rows import LOOKS, SAYS_B, SHOWN, ZOOM, labelled, longvt, zoomer
from servers.annotator import Annotator, Known, role_of
from servers.openai_server import ChatServer, Request, Said
from servers.small_hub import SmallHub

from seekerdata.shards import read
from seekereval.benchmark import Benchmark, benchmark
from seekereval.item import Item
from seekereval.scoring import grade

README, DOCS = ROOT / "README.md", ROOT / "docs"
DOG = json.loads(block_of(README, "json").text)
BOX = DOG["annotations"]["box"]


@pytest.fixture(scope="module")
def dog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the video of the README's question, as far as one can see, and a small one of the same."""
    box, folder = BOX["xyxy"], tmp_path_factory.mktemp("dog")
    make_target(folder / "dog.mp4", box, (800, 600))
    make_target(folder / "small.mp4", [side / 4 for side in box], (200, 150))
    return folder


@pytest.fixture
def stage(tmp_path: Path, dog: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A small repository; its folder `my/folder` is that of the README."""
    root = tmp_path / "repository"
    root.mkdir()
    stage = Stage(root, monkeypatch)
    stage.write("my/folder/questions.jsonl", block_of(README, "json"))
    shutil.copytree(dog, root / "my/folder/videos")
    return stage


@pytest.fixture
def server(stage: Stage) -> Iterator[ChatServer]:
    """The model server of the pages: it settles the README's question, and names the first option of any other."""
    rows = [DOG, *dogs()]
    about = ("the brown dog", "the only brown dog", (1.0, 5.0), "B")
    annotator = Annotator([Known(row["id"], row["question"], *about) for row in rows])

    def script(request: Request) -> Said:
        try:
            return annotator(request)
        except StopIteration:  # a question of another page
            return Said("<think>I see.</think>\n<answer>A</answer>")

    with ChatServer(script) as server:
        stage.url = server.url
        yield server


def quick(command: Command) -> bool:
    """Whether it is played by default: it loads no weights, draws no plots, and asks no model for long."""
    words = command.words
    if command.program == "make":
        return words[1] == "demo"
    model = words[words.index("--model") + 1] if "--model" in words and "--dry-run" not in words else "seeker/"
    slow = command.program == "seekertrain" or "use: weights" in " ".join(words) or "--plots" in words
    return ends(command) and model.startswith("seeker/") and not slow


def ends(command: Command) -> bool:
    """Whether it ends by itself and is not this very test: `mark` waits for a person."""
    return command.words[:2] not in (("seekerdata", "mark"), ("make", "test"), ("make", "check"))


def test_readme(stage: Stage) -> None:
    stage.lay_set("v2p_bench", "sets/v2p_bench", 2)
    elsewhere = {command.words for command in commands(DOCS / "how-to-benchmarks.md")}
    stage.play(README, lambda command: quick(command) and command.words not in elsewhere)
    for said in ("quickstart/dataset (3 qa, 3 sft, 0 rl)", "mine/dataset (1 qa, 1 sft, 0 rl)"):
        assert f"dataset: runs/{said}" in stage.printed("build")
    found: dict[str, Any] = {}
    exec(block_of(README, "python").text, found)
    assert len(found["rows"]) == 3


def test_own_videos(stage: Stage, server: ChatServer) -> None:
    stage.play(DOCS / "how-to-own-videos.md", quick)
    assert ": ok (with a picture)" in stage.printed("plan", "--probe")
    assert "dataset: runs/own_videos/dataset (1 qa, 1 sft, 0 rl)" in stage.printed("build")


def test_own_teacher(stage: Stage, server: ChatServer) -> None:
    stage.play(DOCS / "how-to-own-teacher.md", quick)
    assert "dataset: runs/taught/dataset (1 qa, 1 sft, 0 rl)" in stage.printed("build")
    assert "dataset: runs/middle/dataset (3 qa, 3 sft, 0 rl)" in stage.printed("build")
    assert "middle" in stage.printed("list") and "max_cost 200" in stage.printed("plan")


def test_add_a_benchmark(stage: Stage) -> None:
    page = DOCS / "how-to-add-a-benchmark.md"
    row = stage.write("my/pets/pets.jsonl", block_of(page, "json")).read_text()
    item = benchmark("pets").item(json.loads(row))
    make_clip(stage.root / "my/pets" / item.video)
    (stage.root / "my/pets/frames").mkdir()
    PIL.Image.new("RGB", (64, 48), "grey").save(stage.root / "my/pets" / item.marked_frames[0])
    contract(benchmark("pets"), "kind")
    stage.play(page, quick)
    assert "pets" in stage.printed("list") and (stage.root / "runs/pets/page.html").exists()
    assert "its paper" in stage.printed("--check") and "What does the marked cat do?" in stage.printed("--dry-run")


def test_publish(stage: Stage, run: Path, hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # drawing takes longer than all else
    page = DOCS / "how-to-publish.md"
    stage.lay(run, "runs/level1")
    stage.play(page, quick)
    assert hub.repos["me/level1"].tags == {"v1.0.0": hub.repos["me/level1"].head}
    found: dict[str, Any] = {}
    exec(block_of(page, "python").text, found)
    assert len(found["rows"]) == 10


def test_export(stage: Stage, run: Path) -> None:
    stage.lay(run, "runs/quickstart")
    stage.play(DOCS / "how-to-export.md", quick)
    assert (stage.root / "runs/quickstart/dataset-llamafactory-sft/dataset_info.json").exists()
    assert list((stage.root / "data/verl").iterdir())


def test_import(stage: Stage) -> None:
    rows = [zoomer(ZOOM % ("I zoom.", 2, 4), SHOWN % labelled(2.5), SAYS_B)]
    stage.write("videozoomer/ROWS.json", json.dumps(rows))
    for place in rows[0]["images"]:
        (stage.root / "videozoomer" / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (32, 32), "grey").save(stage.root / "videozoomer" / place.lstrip("/"))
    make_clip(stage.root / "longvt/videos/selfqa/clip.mp4", seconds=10)
    table = pyarrow.Table.from_pylist([longvt(*LOOKS, id="one")])
    pyarrow.parquet.write_table(table, stage.root / "longvt/ROWS.parquet")
    stage.play(DOCS / "how-to-import.md", quick)
    assert "dataset: runs/videozoomer (1 sft)" in stage.printed("import")
    assert "dataset: runs/longvt (1 sft)" in stage.printed("import")


def test_benchmarks(stage: Stage) -> None:
    lay_benchmarks(stage)
    page = DOCS / "how-to-benchmarks.md"
    stage.play(page, quick)
    told = next(block for block in blocks(page) if "v2pbench_official" in block.text)
    assert not agree(stage.printed("score", "replies.jsonl"), told)


def test_cluster(stage: Stage, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "how-to-cluster.md"
    stage.write("my/folder/questions.jsonl", "".join(json.dumps(row) + "\n" for row in dogs()))
    (script,) = (block for block in blocks(page) if block.is_script)
    (stage.root / "DONE/ranks").mkdir(parents=True)
    for key, value in {"LOCAL_BASE_URL": server.url, "LOCAL_API_KEY": "any"}.items():
        monkeypatch.setenv(key, value)  # a batch job has the environment of whoever submits it
    for task in "01":  # two machines, each with a folder of its own
        given = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2", "out": f"node-{task}"}
        stage.type(*inside(script, given))
        shutil.copy(stage.root / f"node-{task}/ranks/{task}-of-2.db", stage.root / "DONE/ranks")
    stage.play(page, quick)
    once, again = (list(read(stage.root / f"runs/{name}/dataset", "sft")) for name in ("own_videos", "own"))
    assert [row["messages"] for row in once] == [row["messages"] for row in again] and len(once) == len(dogs())
    filtered = sum(role_of(request) == "filter" for request in server.requests)
    assert filtered == 2 * len(dogs()), "who merges asks nothing again"


# -- what takes longer -----------------------------------------------------------------------------
@pytest.mark.slow
def test_train(stage: Stage, run: Path, tiny_qwen: Path) -> None:
    """Everything of the page, in a few steps, and what the README says of it."""
    stage.lay(run, "runs/videoseeker")
    stage.link(tiny_qwen, "runs/mine_sft/model")
    stage.play(README, lambda command: command.program == "seekertrain")
    stage.play(DOCS / "how-to-train.md", ends)
    assert "all items, strict" in stage.printed("report") and (stage.root / "runs/quickstart_rl/curves.png").exists()


@pytest.mark.slow
def test_benchmarks_with_models(stage: Stage, server: ChatServer, run: Path, tiny_qwen: Path) -> None:
    lay_benchmarks(stage)
    stage.lay(run, "runs/level1_test")
    stage.link(tiny_qwen, "runs/mine_sft/model", "runs/quickstart_sft/model")
    stage.play(DOCS / "how-to-benchmarks.md", ends)
    stage.play(DOCS / "how-to-cluster.md", lambda command: command.program == "seekereval")
    assert (stage.root / "runs/circular/page.html").exists()


@pytest.mark.slow
def test_own_teacher_in_this_process(stage: Stage, server: ChatServer, tiny_qwen: Path) -> None:
    stage.link(tiny_qwen, "runs/mine_sft/model")
    stage.play(DOCS / "how-to-own-teacher.md", ends)
    assert "dataset: runs/taught/dataset (1 qa, 0 sft, 0 rl)" in stage.printed("build"), "it was never trained"


@pytest.mark.slow
def test_mark(stage: Stage, server: ChatServer) -> None:
    page = DOCS / "how-to-mark.md"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOCAL_BASE_URL": server.url, "LOCAL_API_KEY": "any"}
    for command in commands(page)[:2]:
        words = [sys.executable, "-m", "seekerdata.cli", *small(command)[1:]]
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout and "http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) in (0, 130), "Ctrl-C ends it; 130: before it had begun to wait"
    (stage.root / "my/folder/questions.jsonl").rename(stage.root / "my/folder/marks.jsonl")
    stage.play(page, ends)
    assert "dataset: runs/mine/dataset (1 qa, 1 sft, 0 rl)" in stage.printed("build")


@pytest.mark.slow
def test_the_array_on_two_machines(stage: Stage, server: ChatServer) -> None:
    """The script as it stands; for `srun` and `scontrol` there are stand-ins, and boxes for SAM 3."""
    (script,) = (block for block in blocks(DOCS / "how-to-cluster.md") if block.is_script)
    stage.write("array.sh", script)
    stage.write("questions.jsonl", "".join(json.dumps(row) + "\n" for row in dogs()))
    (stage.root / "FOLDER").symlink_to(stage.root / "my/folder")
    tool = {"srun": '[ -e stop ] && exit 75\nexec "$@"', "scontrol": 'echo "$@" > requeued'}
    tool["seekerdata"] = f'exec {sys.executable} -m seekerdata.cli "$@" --set segment=annotated'
    for name, text in tool.items():
        stage.write(f"bin/{name}", f"#!/bin/sh\n{text}\n").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{stage.root / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOCAL_BASE_URL": server.url,
        "LOCAL_API_KEY": "any",
        "SLURM_ARRAY_TASK_COUNT": "2",
        "SLURM_JOB_ID": "17",
    }
    ends_with = {}
    for task, stop in (("0", False), ("1", True), ("1", False)):
        (stage.root / "stop").touch() if stop else (stage.root / "stop").unlink(missing_ok=True)
        given = environment | {"SLURM_ARRAY_TASK_ID": task, "TMPDIR": str(stage.root / f"tmp-{task}")}
        ends_with[task, stop] = subprocess.run(["bash", "array.sh"], env=given, check=False).returncode
    assert ends_with == {("0", False): 0, ("1", True): 75, ("1", False): 0}
    assert (stage.root / "requeued").read_text() == "requeue 17\n"
    assert {path.name for path in (stage.root / "DONE/ranks").iterdir()} == {"0-of-2.db", "1-of-2.db"}


def contract(which: Benchmark, kind: str) -> None:
    """What tests/seekereval/test_benchmarks.py asks of every benchmark."""
    items = [which.item(row) for row in which.fixtures]
    assert set(Counter(item.groups[kind] for item in items).values()) == {3}
    assert all(grade(item, item.answer).score == 1.0 and not item.defects for item in items)


def dogs() -> list[dict[str, Any]]:
    """Two questions about a small video, one for each of two ranks."""
    box = {**BOX, "xyxy": [round(side / 4) for side in BOX["xyxy"]]}
    row = {**DOG, "video": "small.mp4", "annotations": {**DOG["annotations"], "box": box}}
    return [{**row, "id": f"dog-{n}", "question": f"Where does the brown dog go on beat {n}?"} for n in (2, 3)]


def lay_benchmarks(stage: Stage) -> None:
    """What how-to-benchmarks.md takes for granted: folders of benchmarks, other tools' files, finished runs."""
    stage.write("replies.jsonl", block_of(DOCS / "how-to-benchmarks.md", "json"))
    stage.lay_set("v2p_bench", "sets/v2p_bench", 2)
    stage.lay_set("videosiah", "open", 2)
    specs = {"videomme": "videomme", "mlvu": "mlvu:split=test,generation=false", "longvideobench": "longvideobench"}
    for name, spec in specs.items():
        items = stage.lay_set(spec, f"data/{name}", clips=False)
        told = [
            {"doc_id": n, "doc": i.row, "target": i.answer, "filtered_resps": [i.answer]} for n, i in enumerate(items)
        ]
        replies = stage.write(f"samples_{name}.jsonl", "".join(json.dumps(row) + "\n" for row in told))
        words = ("score", spec, "--predictions", replies.name, "--data", f"data/{name}", "--out", f"runs/{name}")
        stage.type(Command("before", ("seekereval", *words)))
        if name == "videomme":
            stage.write("Model_Video-MME.tsv", vlmevalkit(items))


def vlmevalkit(items: Sequence[Item]) -> str:
    """Its table of replies."""
    rows = [(n, Path(i.video).stem, i.row["question"], f"Answer: {i.answer}") for n, i in enumerate(items)]
    return "\n".join("\t".join(map(str, row)) for row in [("index", "video", "question", "prediction"), *rows])
