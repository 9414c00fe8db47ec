"""tiny: a from-scratch Qwen3-VL of about two million parameters with a tokenizer and a processor of its own.

It is what tests and the quickstart train: every size is Qwen3-VL's, made small; it loads with the Auto classes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seekerdata.instructions import BLIND_ROLE, FORMATS, LAST_LOOK, MARKED, NO_LOOK_LEFT, ROLE, question_text
from seekerdata.plugin import make
from seekerdata.tools import tool_schemas
from seekerdata.visual_prompt import COLOURS, SHAPES

PATCH = 14
"""Pixels of a patch; two by two patches are one token, so a 56 x 56 frame is four."""

SPREAD = 0.06
"""Weights are drawn three times as wide as Qwen's: at this size attention to the pictures else never starts."""

LANGUAGE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "initializer_range": SPREAD,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5]},
    "tie_word_embeddings": True,
}
VISION = {
    "depth": 3,
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_heads": 4,
    "patch_size": PATCH,
    "out_hidden_size": 128,
    "num_position_embeddings": 256,
    "deepstack_visual_indexes": [0, 1],
    "initializer_range": SPREAD,
}

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TAGS = ("think", "tool_call", "tool_response", "answer")
"""Their opening and closing tags are one token each, and not special: they are read back from what is generated."""

WORDS = """
<0.0 seconds> At 0.0 s From 0.0 s to 0.0 s: left red, right blue. It is on the left: green. yellow. orange. pink. white.
The video is video (10.0 s). The visual prompt frame is prompt_1.
Question: What colour does the target flash? the circle the square the triangle. A. B. C. D. E. F. G. H.
I need to see what is marked. The lime mark at 0.0 s is on the circle on the left. I look closely.
That call was refused. From 0.0 s to 0.0 s nothing answers the question. Error: is past the end of the video must be
later than there is no visual prompt frame '' there is: "name": "view_visual_prompt", "arguments": "frame_path":
"prompt_1" "crop_video" "video_path": "video", "start_time": "end_time": system user assistant
"""
"""What conversations about world level 1 say; a word that stands here is one token. All else is spelt in bytes."""


def init_tiny(folder: Path, seed: int = 0) -> None:
    """Make a model, its tokenizer and its processor, and save them.

    Args:
        folder: where; written like any checkpoint of transformers.
        seed: of the weights; the same seed gives the same bytes.
    """
    import torch
    from transformers import Qwen3VLForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(_config(tokenizer))
        model.model.visual.pos_embed.weight.data.mul_(8.0)  # as strong as the pixels that they are added to
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _image_processor().save_pretrained(folder)


def _config(tokenizer: Any) -> Any:
    from transformers import Qwen3VLConfig

    names = ("image", "video", "vision_start", "vision_end")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in zip(names, tokens, strict=True)
    }
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return Qwen3VLConfig(
        text_config=LANGUAGE | ends | {"vocab_size": len(tokenizer)},
        vision_config=VISION,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        **ids,
    )


def _image_processor() -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    size = {"shortest_edge": (2 * PATCH) ** 2, "longest_edge": 1280 * (2 * PATCH) ** 2}
    shades = {"image_mean": [0.2] * 3, "image_std": [0.3] * 3}
    return Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=2, size=size, **shades)


def _tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer
    from trl.chat_template_utils import qwen3_vl_training_chat_template

    plain = Qwen2Tokenizer(vocab={}, merges=[])
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = plain.backend_tokenizer.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=4096, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator(_texts(), trainer)
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL], special_tokens=True)
    tags = [f"<{slash}{tag}>" for tag in TAGS for slash in ("", "/")]
    tokenizer.chat_template = qwen3_vl_training_chat_template
    lines = sorted(set(_fixed_lines(tokenizer)))
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in [*tags, *lines]])
    return tokenizer


def _texts() -> Iterator[str]:
    yield from (f"{before}{word}" for word in WORDS.split() for before in ("", " "))
    yield from (ROLE, BLIND_ROLE, *FORMATS.values(), LAST_LOOK, NO_LOOK_LEFT, MARKED, question_text("", ["", ""]))
    yield from (make("shapes", name).phrase.format(number=0) for name in SHAPES)
    yield from (f" {colour}" for colour in COLOURS)
    yield from (json.dumps(schema) for schema in tool_schemas())


def _fixed_lines(tokenizer: Any) -> Iterator[str]:
    """The lines that open every conversation. Each becomes one token, or reading them would be half of all work."""
    system = {"role": "system", "content": f"{ROLE} {FORMATS['tool']}"}
    text = tokenizer.apply_chat_template([system], tools=tool_schemas(), tokenize=False)
    yield from (line for line in text.splitlines() if len(line) > 40)
