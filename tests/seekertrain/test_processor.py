"""The processor: tools reach the model in both families, without torchvision; a template that drops them is refused."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer
from trl.chat_template_utils import is_chat_template_prefix_preserving, parse_response, supports_tool_calling

from seekerdata.errors import SeekerError
from seekertrain.processor import load_processor, lost_by_template, training_template


@pytest.mark.parametrize("family", ["tiny", "tiny25"])
def test_both_families_carry_tools_as_trl_wants_them(family: str, request: pytest.FixtureRequest) -> None:
    processor = load_processor(str(request.getfixturevalue(family)))
    assert lost_by_template(processor) == ""
    assert supports_tool_calling(processor)
    assert is_chat_template_prefix_preserving(processor)
    said = '<tool_call>\n{"name": "crop_video", "arguments": {"start_time": 1.5}}\n</tool_call><|im_end|>'
    read = parse_response(processor.tokenizer, processor.tokenizer(said)["input_ids"], prefix=[])
    assert read["tool_calls"][0]["function"] == {"name": "crop_video", "arguments": {"start_time": 1.5}}


@pytest.mark.parametrize("family", ["tiny", "tiny25"])
def test_the_training_template_says_the_same_text(family: str, request: pytest.FixtureRequest) -> None:
    processor = load_processor(str(request.getfixturevalue(family)))
    said = [
        {"role": "user", "content": [{"type": "text", "text": "asked"}, {"type": "image"}]},
        {"role": "assistant", "content": "answered"},
    ]
    marked = processor.apply_chat_template(said, chat_template=training_template(processor), tokenize=False)
    assert marked == processor.apply_chat_template(said, tokenize=False)


def test_a_saved_processor_is_the_stock_one_to_others(tiny: Path, tmp_path: Path) -> None:
    settings = {"video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 14}
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "video_preprocessor_config.json").write_text(json.dumps(settings))
    load_processor(str(tmp_path / "model")).save_pretrained(tmp_path / "saved")
    shutil.copy(tiny / "config.json", tmp_path / "saved")
    facts = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert facts["processor_class"] == "Qwen3VLProcessor"
    assert facts["video_processor"]["video_processor_type"] == "Qwen3VLVideoProcessor"
    again = load_processor(str(tmp_path / "saved"))
    assert again.chat_template == load_processor(str(tiny)).chat_template


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("{{- tool | tojson }}", "", "the tools"),
        ("{%- if message.tool_calls %}", "{%- if false %}", "tool calls"),
        ('message.role == "tool"', 'message.role == "never"', "tool turns"),
    ],
)
def test_a_template_that_drops_something_is_refused(old: str, new: str, lost: str, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert old in tokenizer.chat_template
    tokenizer.chat_template = tokenizer.chat_template.replace(old, new)
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(SeekerError, match=f"its chat template drops {lost}; ") as refused:
        load_processor(str(tmp_path / "model"))
    assert "\n" not in str(refused.value)


def test_a_template_that_drops_pictures_of_tool_turns_is_refused(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
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
    with pytest.raises(SeekerError, match="models of type llama cannot be trained; can be: qwen2_vl, "):
        load_processor(str(tmp_path))
