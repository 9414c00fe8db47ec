"""Rows as other trainers read them: thoughts and pictures stay, what looks like structure does no harm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from seekerdata.cli import app
from seekerdata.dialect import read_calls
from seekerdata.errors import ItemError
from seekerdata.export import export
from seekerdata.plugin import names
from seekerdata.shards import read
from seekerdata.trajectory import Image, Text, ToolCall, Turn
from seekerdata.transcript import PLACEHOLDER, check_placeholders, transcript


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_text_that_looks_like_structure_is_no_placeholder() -> None:
    picture = Image(source="video", time_s=1.0, max_pixels=None, size_wh=(8, 8), sha256="0" * 16)
    call = ToolCall(id="call_1", name="crop_video", arguments={"video_path": "<image>", "start_time": 1})
    turns = [
        Turn(role="system", content=(Text(text="You look."),)),
        Turn(role="user", content=(Text(text="[1.0 s]"), picture, Text(text="What of <image> and <tool_call>?"))),
        Turn(role="assistant", content=(Text(text="<think>a <video></think>"),), tool_calls=(call,), loss=False),
        Turn(role="tool", content=(Text(text="Error: no <image>"),), tool_call_id="call_1"),
        Turn(role="assistant", content=(Text(text="<think>b</think><answer>A</answer>"),)),
    ]
    told = transcript(turns)
    check_placeholders([m.text for m in told], 1)
    assert told[1].text == "[1.0 s]<image>What of &lt;image> and &lt;tool_call>?"
    said, (again,) = read_calls(told[2].text)
    assert said == "<think>a &lt;video></think>" and again.arguments == call.arguments, "the call reads as it was"
    assert [m.loss for m in told] == [False, False, False, False, True]
    with pytest.raises(ItemError, match="placeholders"):
        check_placeholders([m.text for m in told], 2)
    with pytest.raises(ItemError, match="alternate"):
        transcript(turns[:1] + turns[2:])


@pytest.mark.parametrize("name", ["llamafactory", "ms-swift"])
def test_lines_hold_every_thought_and_a_file_for_every_placeholder(name: str, run: Path, tmp_path: Path) -> None:
    done = export(run / "dataset", name, "sft", tmp_path / "out")
    rows, found = list(read(run / "dataset", "sft")), lines(tmp_path / "out/sft.jsonl")
    assert done.rows == len(found) == len(rows) and not done.left_out
    for row, record in zip(rows, found, strict=True):
        text = "\n".join(m.get("value") or m["content"] for m in record.get("conversations") or record["messages"])
        assert text.count(PLACEHOLDER) == len(record["images"]) == len(row["images"])
        for path, kept in zip(record["images"], row["images"], strict=True):
            with PIL.Image.open(tmp_path / "out" / path) as picture:
                assert np.array_equal(np.asarray(picture), np.asarray(kept)), "the file that was kept, not made anew"
        for message in row["messages"]:
            if message["role"] == "assistant":
                assert message["content"][0]["text"] in text, "the thought is there, word by word"
        assert text.count("\n<tool_call>\n") == row["calls"]
    assert len(list((tmp_path / "out/frames").rglob("*.jpg"))) <= sum(len(r["images"]) for r in found)


def test_trl_loads_and_collates_them(run: Path, tmp_path: Path, tiny_qwen: Path) -> None:
    """TRL's own reading of messages and pictures, and its collator for models that see."""
    from datasets import load_dataset
    from trl.data_utils import prepare_multimodal_messages
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from seekerdata.processor import load_processor

    for config, column in (("sft", "messages"), ("rl", "prompt")):
        export(run / "dataset", "trl", config, tmp_path / config)
        file = str(tmp_path / config / f"{config}.parquet")
        rows = load_dataset("parquet", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
        for row in rows:
            ready = prepare_multimodal_messages(row[column], row["images"])
            blocks = [block for message in ready for block in message["content"]]
            assert sum("image" in block for block in blocks) == len(row["images"])
        if config == "sft":
            collate = DataCollatorForVisionLanguageModeling(load_processor(str(tiny_qwen)))
            batch = collate([dict(rows[0]), dict(rows[1])])
            text = collate.processor.tokenizer.decode(batch["input_ids"][0])
            assert "<think>" in text and "<tool_call>" in text and "crop_video" in text
            assert len(batch["image_grid_thw"]) == len(rows[0]["images"]) + len(rows[1]["images"])


def test_verl_rows(run: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    for config, column, count in (("sft", "messages", 10), ("rl", "prompt", 3)):
        done = export(run / "dataset", "verl", config, tmp_path / config)
        rows = pyarrow.parquet.read_table(tmp_path / config / f"{config}.parquet").to_pylist()
        assert done.rows == len(rows) == count
        for row in rows:
            text = "".join(message["content"] for message in row[column])
            assert text.count(PLACEHOLDER) == len(row["images"]) and row["images"][0]["bytes"][:2] == b"\xff\xd8"
    extra = rows[0]["extra_info"]
    assert rows[0]["reward_model"]["ground_truth"] == extra["answer"] and len(extra["video_segment"]) == 2
    mark = extra["tools_kwargs"]["view_visual_prompt"]["create_kwargs"]["frame_path"]
    assert (tmp_path / "rl" / mark).is_file()


def test_what_cannot_be_exported_is_said(run: Path, tmp_path: Path) -> None:
    assert names("exports") == ["llamafactory", "ms_swift", "trl", "verl"]
    command = ["export", str(run / "dataset"), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, [*command, "--to", "llamafactory", "--config", "rl"])
    assert refused.exit_code == 2 and "sft rows only" in refused.stderr and not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, [*command, "--to", "ms-swift", "--config", "rl"])
    assert done.exit_code == 0 and "not carried, 3 rows: what the tools do" in done.stdout
    readme = (tmp_path / "out/README.md").read_text()
    assert "swift rlhf --rlhf_type grpo" in readme and "not say here" in readme
    assert "`pass_rate`" in readme and "`question`" not in readme.partition("columns of the dataset")[2]
    again = CliRunner().invoke(app, [*command, "--to", "trl"])
    assert again.exit_code == 2 and "is there already" in again.stderr


def test_a_row_without_its_video_is_left_out_alone(run: Path, tmp_path: Path) -> None:
    """By reference, with the videos of all rows but one at hand; without any, nothing is left behind."""
    from seekerdata.errors import SeekerError
    from seekerdata.shards import write_config

    rows = [row | {"media": "reference", "images": []} for row in read(run / "dataset", "sft", pictures=False)]
    decoded = [row | {"media": "reference", "images": []} for row in read(run / "dataset", "sft")]
    kept = [
        full | {"image": raw["image"], "raw_image": raw["raw_image"]} for raw, full in zip(rows, decoded, strict=True)
    ]
    lost = kept[0]["video_path"]
    write_config("sft", iter([kept[0] | {"video_path": "gone.mp4"}, *kept[1:]]), tmp_path / "dataset")
    videos = next(run.rglob(lost)).parent if "/" not in lost else run / "videos"
    done = export(tmp_path / "dataset", "llamafactory", "sft", tmp_path / "out", videos)
    assert done.rows == 9 and sum(done.left_out.values()) == 1 and "gone.mp4" in done.reasons[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeekerError, match="no sft row could be exported"):
        export(tmp_path / "dataset", "trl", "sft", tmp_path / "none", tmp_path / "empty")
    assert not list(tmp_path.glob("*none*"))


# The trainers' own data code, beside this environment's torch, transformers and datasets

ROOT = Path(__file__).parent.parent.parent
TRAINERS = {
    "llamafactory": ("llamafactory==0.9.5", "omegaconf==2.4.0"),
    "verl": (
        *("verl==0.9.1", "ray==2.60.0", "tensordict==0.15.3", "msgpack==1.2.4", "codetiming==1.4.0", "pyvers==0.2.3"),
        *("omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3", "hydra-core==1.3.8", "cloudpickle==3.1.3"),
        *("importlib_metadata==10.2.0", "orjson==3.13.0", "qwen-vl-utils==0.0.14"),
    ),
    "ms_swift": ("ms-swift==4.6.0", "modelscope==1.40.2", "modelscope_hub==0.5.1", "json_repair==0.64.6"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_the_trainer_reads_them(name: str, run: Path, tmp_path: Path, tiny_qwen: Path) -> None:
    beside = tmp_path / "packages"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(beside), *TRAINERS[name])
    installed = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=600)
    if installed.returncode:
        pytest.skip(f"{name} cannot be installed here: {installed.stderr.strip()[-200:]}")
    done = export(run / "dataset", name, "sft", tmp_path / "out")
    offline = {"HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1", "HF_HOME": str(tmp_path / "home")}
    offline |= {"PYTHONPATH": str(beside), "MODELSCOPE_CACHE": str(tmp_path / "cache")}

    def read_back(folder: Path) -> list[dict]:
        command = (sys.executable, str(ROOT / "tests/trainer_data.py"), name, str(folder), str(tiny_qwen))
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | offline
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    found = read_back(done.folder)
    rows = list(read(run / "dataset", "sft"))
    assert len(found) == len(rows)
    said = [json.dumps(one, ensure_ascii=False) for one in found]
    for row, one, text in zip(rows, found, said, strict=True):
        assert one["images"] == len(row["images"])
        thoughts = [m["content"][0]["text"] for m in row["messages"] if m["role"] == "assistant"]
        assert all(json.dumps(thought, ensure_ascii=False)[1:-1] in text for thought in thoughts)
        losses = [m["loss"] for m in row["messages"] if m["role"] == "assistant"]
        if name == "ms_swift":
            assert [m["loss"] for m in one["messages"] if m["role"] == "assistant"] == losses
    if name == "verl":
        prompts = read_back(export(run / "dataset", name, "rl", tmp_path / "rl").folder)
        asked = list(read(run / "dataset", "rl"))
        assert [(one["truth"], one["images"]) for one in prompts] == [(r["answer"], len(r["images"])) for r in asked]
        assert all(set(one["extra"]["tools_kwargs"]) == {"crop_video", "view_visual_prompt"} for one in prompts)
