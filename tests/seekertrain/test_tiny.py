"""tiny: what a checkpoint made from nothing holds, and that the Auto classes read it."""

from pathlib import Path

import pytest

from seekertrain.processor import load_processor
from seekertrain.tiny import TAGS, WORDS, init_tiny

torch = pytest.importorskip("torch", reason="needs the train extra")


def test_auto_classes_read_a_model_of_two_million_parameters(tiny: Path) -> None:
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    assert AutoConfig.from_pretrained(tiny).model_type == "qwen3_vl"
    model, tokenizer = AutoModelForImageTextToText.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 2.5e6
    assert tokenizer.eos_token == "<|im_end|>" and len(tokenizer) == model.config.text_config.vocab_size
    ends = model.generation_config.eos_token_id, model.generation_config.pad_token_id
    assert ends == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_a_seed_makes_the_same_weights_again(tmp_path: Path, tiny: Path) -> None:
    init_tiny(tmp_path / "again")
    init_tiny(tmp_path / "other", seed=1)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (tiny, tmp_path / "again", tmp_path / "other")]
    assert weights[0] == weights[1] != weights[2]


def test_words_of_level_one_and_tags_are_whole_tokens_and_any_text_comes_back(tiny: Path) -> None:
    tokenizer = load_processor(str(tiny)).tokenizer
    words = [word.strip(".,:?") for word in WORDS.split() if word.strip(".,:?").isalpha()]
    assert [word for word in words if len(tokenizer.encode(f" {word}")) > 1] == []
    tags = [f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]
    assert [len(tokenizer.encode(tag)) for tag in tags] == [1] * len(tags)
    text = '<think>Zwölf 猫, "x" 12.5?</think>\n<tool_call>\n{}\n</tool_call>'
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text
