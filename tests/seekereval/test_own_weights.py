"""seekereval run --model hf/...: a checkpoint is played here; what is cut, killed, changed or no model is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seekerdata.errors import SeekerError
from seekerdata.rights import withhold
from seekereval.benchmark import benchmark
from seekereval.cli import app
from seekereval.item import State
from seekereval.results import read_results

pytest.importorskip("torch", reason="needs the weights extra")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run_with(*words: str) -> Any:
    return CliRunner().invoke(app, ["run", *words])


def words_of(run: Path, model: Path, *more: str) -> list[str]:
    few = ["--set", "fps=0.2", "--max-tokens", "6", "--limit", "3", "--json"]
    return ["world", "--data", str(run / "dataset"), "--model", f"hf/{model}", *few, *more]


@pytest.mark.parametrize("mode", ["tool", "direct"])
def test_a_checkpoint_is_played_and_the_manifest_says_which(mode: str, run: Path, tiny_qwen: Path) -> None:
    done = run_with(*words_of(run, tiny_qwen, "--mode", mode, "--out", "out"))
    assert done.exit_code == 0, done.output
    rows = read_results(Path("out")).graded
    assert [(row.state, row.rule, row.score) for row in rows] == [(State.TRUNCATED, "too_long", 0.0)] * 3
    assert all(row.usage["output_tokens"] == 6 and row.frames == 2 + (mode == "direct") for row in rows)
    manifest = json.loads(Path("out", "manifest.json").read_text())
    assert len(manifest["settings"]["weights"]["files_sha256"]) == 64
    assert manifest["model"]["device"] and manifest["versions"]["torch"] and manifest["versions"]["transformers"]
    assert manifest["settings"]["benchmark"] == "built" and manifest["settings"]["preset"]["fps"] == 0.2
    done = CliRunner().invoke(app, ["view", "out"])
    assert done.exit_code == 0 and Path("out", "page.html").read_text().count("data:image/jpeg") >= 3


def test_a_run_goes_on_and_another_checkpoint_in_its_place_is_refused(
    run: Path, tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen3VLForConditionalGeneration as Qwen

    asked, generate = list[int](), Qwen.generate

    def failing(self: Any, input_ids: Any, **settings: Any) -> Any:
        asked.append(len(input_ids))
        if len(asked) == 1:
            raise RuntimeError("no such kernel")
        return generate(self, input_ids, **settings)

    monkeypatch.setattr(Qwen, "generate", failing)
    model = Path(shutil.copytree(tiny_qwen, "model"))
    words = words_of(run, model, "--out", "out")
    done = run_with(*words, "--concurrency", "1")
    assert done.exit_code == 1 and json.loads(done.stdout)["states"] == {**NONE, "truncated": 2, "error": 1}
    done = run_with(*words, "--concurrency", "1")
    assert done.exit_code == 0 and asked == [1] * 4, "what has a reply is not asked again"
    (model / "chat_template.jinja").write_text("another")
    done = run_with(*words)
    assert done.exit_code == 2 and "out holds a run with another weights; name another folder" in done.stderr


NONE = {state.value: 0 for state in State}


def test_a_dry_run_loads_no_weights(run: Path) -> None:
    done = run_with(*words_of(run, Path("no/such/model"), "--dry-run"))
    assert done.exit_code == 0 and json.loads(done.stdout)["prompt"]["frames"] == 2


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("./none", [], "no weights in ./none: there is no such folder"),
        ("empty", [], "empty: no model can be read there: it has no config.json"),
        ("llama", [], "models of type llama cannot be trained or played; can be: qwen2_vl"),
        ("llama", ["--base-url", "http://localhost:1/v1"], "hf/llama is played in this process; for a server name it"),
        ("llama", ["--calls", "text"], "hf/llama: its own template says how tools are called"),
        ("llama", ["--set", "fpx=1"], "--set fpx=1: expected key=value with a key of the preset (did you mean 'fps'?)"),
        ("torn", [], "torn: cannot be loaded: "),
        ("no torch", [], "open weights need torch: pip install 'videoseeker-toolkit[weights]'"),
    ],
)
def test_what_cannot_be_played_is_one_line(
    model: str, more: list[str], said: str, run: Path, tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty").mkdir()
    Path("llama").mkdir()
    Path("llama", "config.json").write_text('{"model_type": "llama"}')
    shutil.copytree(tiny_qwen, "torn")
    next(Path("torn").glob("*.safetensors")).write_bytes(b"no weights")
    if model == "no torch":
        monkeypatch.setattr("seekerdata.vision_model.find_spec", lambda name: None)
    done = run_with("world", "--data", str(run / "dataset"), "--model", f"hf/{model}", "--limit", "1", *more)
    assert done.exit_code == 2, done.output
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


# -- the questions of a dataset --------------------------------------------------------------------
def test_a_datasets_questions_are_asked_as_they_stand_and_the_expert_is_right(run: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "videos").symlink_to(run / "videos")
    shutil.copytree(run / "dataset" / "qa", tmp_path / "held" / "questions" / "qa")
    which = benchmark("built:dataset=questions")
    items = which.items(tmp_path / "held")
    table = pyarrow.parquet.read_table(next((run / "dataset" / "qa").glob("*.parquet")))
    for item, row in zip(items, table.to_pylist(), strict=True):
        assert (item.id, item.question, list(item.options), item.answer) == tuple(
            row[name] for name in ("id", "question", "options", "answer")
        )
        assert (tmp_path / "held" / item.marked_frames[0]).read_bytes() == row["image"]["bytes"]
        assert (tmp_path / "held" / item.video).is_file() and item.scoring == "rule"
    done = run_with("world", "--data", "held/questions", "--model", "seeker/expert", "--json", "--out", "out")
    assert done.exit_code == 0 and json.loads(done.stdout)["headline"] == 100.0, done.output
    done = run_with("built", "--data", "held/questions", "--model", "seeker/expert", "--no-visual-prompt", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["headline"] == 100.0, done.output


def test_questions_published_without_pictures_are_asked_with_the_same(run: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    (tmp_path / "held/videos").mkdir(parents=True)
    (file,) = (run / "dataset/qa").glob("*.parquet")
    table = pyarrow.parquet.read_table(file)
    closed = pyarrow.array(["all rights reserved"] * len(table))
    place = table.schema.get_field_index("video_licence")
    pyarrow.parquet.write_table(table.set_column(place, "video_licence", closed), tmp_path / "closed.parquet")
    (tmp_path / "held/dataset/qa").mkdir(parents=True)
    withhold(tmp_path / "closed.parquet", tmp_path / "held/dataset/qa" / file.name)
    with pytest.raises(SeekerError, match="are drawn on the videos"):
        benchmark("built").items(tmp_path / "held")
    shutil.copytree(run / "videos", tmp_path / "held/videos", dirs_exist_ok=True)
    for item, row in zip(benchmark("built").items(tmp_path / "held"), table.to_pylist(), strict=True):
        assert (tmp_path / "held" / item.marked_frames[0]).read_bytes() == row["image"]["bytes"]
        raw = item.row["truth"]["visual_prompts"][0]["raw_image"]
        assert (tmp_path / "held" / raw).read_bytes() == row["raw_image"]["bytes"]


def test_what_is_no_dataset_or_has_no_videos_is_one_line(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "dataset" / "qa", tmp_path / "alone" / "dataset" / "qa")
    for words, said in (
        (["world", "--data", "alone/dataset"], "no video of "),
        (["world:level=2", "--data", "alone/dataset"], "made already; leave level=2 out"),
        (["built", "--data", "nowhere"], "no 'qa' configuration here"),
    ):
        done = run_with(*words, "--model", "seeker/expert")
        assert done.exit_code == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.output
    done = CliRunner().invoke(app, ["data", "world", "--data", "alone/dataset"])
    assert done.exit_code == 2 and "seekereval run built --data alone" in done.stderr
