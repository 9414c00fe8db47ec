"""The processor as TRL wants it: tools reach the model in both families, and the trained text is the played one."""

import pytest
from trl.chat_template_utils import is_chat_template_prefix_preserving, parse_response, supports_tool_calling

from seekerdata.processor import lost_by_template
from seekertrain.processor import load_processor, training_template


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
