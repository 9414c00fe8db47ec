"""Run with a trainer importable: its own data code reads an export; what it made is printed as JSON.

python trainer_data.py llamafactory|ms_swift|verl EXPORT MODEL; test_export.py reads the last line.
MODEL has a tokenizer.
"""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def stand_in(name: str, **holds: Any) -> None:
    """A module that is imported on the way and has no part in reading rows."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    module.__dict__.update(holds)
    sys.modules[name] = module
    parent, _, own = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], own, module)


def llamafactory(folder: str, model: str) -> list[dict[str, Any]]:
    """Index, converter, count of placeholders, and the template's own words for a whole conversation."""
    stand_in("torchaudio")  # for sounds only; PyPI's is a CUDA build that does not load
    from datasets import load_dataset
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import DataArguments
    from transformers import AutoTokenizer

    arguments = DataArguments(dataset="videoseeker_sft", dataset_dir=folder, media_dir=folder, template="qwen3_vl")
    (named,) = get_dataset_list(["videoseeker_sft"], folder)
    convert = get_dataset_converter(named.formatting, named, arguments)
    template, tokenizer = TEMPLATES["qwen3_vl"], AutoTokenizer.from_pretrained(model)
    found = []
    for row in load_dataset("json", data_files=f"{folder}/{named.dataset_name}", split="train"):
        made = convert(row)
        turns = made["_prompt"] + made["_response"]
        template.mm_plugin._validate_messages(turns, made["_images"], [], [])
        pairs = template.encode_multiturn(tokenizer, turns, made["_system"], made["_tools"])
        asked, answered = ("".join(tokenizer.decode(pair[n]) for pair in pairs) for n in (0, 1))
        found.append({"shown": asked, "trained": answered, "images": len(made["_images"])})
    return found


def ms_swift(folder: str, model: str) -> list[dict[str, Any]]:
    """Its loader with its preprocessor."""
    from swift.dataset import load_dataset

    rows, _ = load_dataset(f"{folder}/sft.jsonl", strict=True, num_proc=1)
    return [{"messages": row["messages"], "images": len(row["images"])} for row in rows]


def verl(folder: str, model: str) -> list[dict[str, Any]]:
    """Its SFT dataset with a processor, what it trains apart; its dataset of prompts where the export has those."""
    from pathlib import Path

    import torch

    places = "verl.models.transformers.qwen2_vl"  # of tokens, for attention; made for an older transformers
    stand_in(places, get_rope_index=lambda processor, input_ids, **_: torch.zeros((3, len(input_ids))))
    from omegaconf import OmegaConf
    from transformers import AutoTokenizer
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from seekerdata.processor import load_processor

    tokenizer, processor = AutoTokenizer.from_pretrained(model), load_processor(model)
    for name in ("torchvision", "torchvision.io", "torchvision.transforms"):  # for videos only; as torchaudio
        stand_in(name, InterpolationMode=None)
    keys = {"max_length": 16384, "max_prompt_length": 16384, "ignore_input_ids_mismatch": True, "image_key": "images"}
    config = OmegaConf.create({**keys, "return_raw_chat": True, "filter_overlong_prompts": False})
    found = []
    if (prompts := Path(folder) / "rl.parquet").exists():
        for row in RLHFDataset([str(prompts)], tokenizer, config, processor):
            blocks = [block for turn in row["raw_prompt"] for block in turn["content"]]
            images = sum(block["type"] == "image" for block in blocks)
            found.append({"images": images, "truth": row["reward_model"]["ground_truth"], "extra": row["extra_info"]})
        return found
    for row in MultiTurnSFTDataset(str(Path(folder) / "sft.parquet"), tokenizer, config, processor):
        trained = row["input_ids"][row["loss_mask"].bool()]
        images = len(torch.as_tensor(row["multi_modal_inputs"]["image_grid_thw"]))
        found.append({"trained": tokenizer.decode(trained), "images": images})
    return found


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
