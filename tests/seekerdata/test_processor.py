"""The processor: a template that drops tools or their pictures is refused; runs without torchvision and TRL."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from seekerdata.errors import SeekerError
from seekerdata.processor import load_processor

pytest.importorskip("transformers", reason="needs the weights extra")


def test_a_saved_processor_is_the_stock_one_to_others(tiny_qwen: Path, tmp_path: Path) -> None:
    settings = {"video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 14}
    shutil.copytree(tiny_qwen, tmp_path / "model")
    (tmp_path / "model" / "video_preprocessor_config.json").write_text(json.dumps(settings))
    load_processor(str(tmp_path / "model")).save_pretrained(tmp_path / "saved")
    shutil.copy(tiny_qwen / "config.json", tmp_path / "saved")
    facts = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert facts["processor_class"] == "Qwen3VLProcessor"
    assert facts["video_processor"]["video_processor_type"] == "Qwen3VLVideoProcessor"
    again = load_processor(str(tmp_path / "saved"))
    assert again.chat_template == load_processor(str(tiny_qwen)).chat_template


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("{{- tool | tojson }}", "", "the tools"),
        ("{%- if message.tool_calls %}", "{%- if false %}", "tool calls"),
        ('message.role == "tool"', 'message.role == "never"', "tool turns"),
    ],
)
def test_a_template_that_drops_something_is_refused(
    old: str, new: str, lost: str, tiny_qwen: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(tiny_qwen, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen)
    assert old in tokenizer.chat_template
    tokenizer.chat_template = tokenizer.chat_template.replace(old, new)
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(SeekerError, match=f"its chat template drops {lost}; ") as refused:
        load_processor(str(tmp_path / "model"))
    assert "\n" not in str(refused.value)


def test_a_template_that_drops_pictures_of_tool_turns_is_refused(tiny_qwen: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(tiny_qwen, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen)
    before, tool, after = tokenizer.chat_template.partition('message.role == "tool"')
    tokenizer.chat_template = before + tool + after.replace("<|vision_start|><|image_pad|><|vision_end|>", "")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(SeekerError, match="drops pictures of tool turns"):
        load_processor(str(tmp_path / "model"))


def test_a_model_that_is_not_there_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SeekerError, match=r"^\./none: no such folder$"):
        load_processor("./none")
    with pytest.raises(SeekerError, match=r"runs/none is not downloaded, or not whole, .*; or name a folder"):
        load_processor("runs/none")


def test_models_of_other_families_and_none_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match="no model can be read there"):
        load_processor(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(SeekerError, match="models of type llama cannot be trained or played; can be: qwen2_vl, "):
        load_processor(str(tmp_path))


def test_tools_without_trl_are_those_of_the_models_own_template(
    tiny_qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setitem(sys.modules, "trl.chat_template_utils", None)
    assert load_processor(str(tiny_qwen)).chat_template
    deaf = shutil.copytree(tiny_qwen, tmp_path / "deaf")
    facts = json.loads((deaf / "config.json").read_text())
    (deaf / "config.json").write_text(json.dumps(facts | {"model_type": "qwen2_5_vl"}))
    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.save_pretrained(deaf)
    with pytest.raises(SeekerError, match=r"drops the tools; for Qwen3-VL's .*: pip install .*\[train\]") as refused:
        load_processor(str(deaf))
    assert "\n" not in str(refused.value)
