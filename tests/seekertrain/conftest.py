"""Fixtures of the training side: tiny models of both families, trajectories of noise in the dataset's columns."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import yaml

from seekerdata.tools import tool_schemas

if TYPE_CHECKING:
    from seekertrain.rl import RlRecipe
    from seekertrain.sft import SftRecipe

torch = pytest.importorskip("torch", reason="needs the train extra")
torch.set_num_threads(1)

Row = dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `datasets` writes beside the datasets goes where tests write."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("arrow"))
        yield


@pytest.fixture(scope="session")
def tiny(tiny_qwen: Path) -> Path:
    """A tiny Qwen3-VL, not trained."""
    return tiny_qwen


@pytest.fixture(scope="session")
def tiny25(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL, not trained, with its family's own chat template, which knows no tools."""
    from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from trl.chat_template_utils import qwen2_5_vl_chat_template

    folder = tmp_path_factory.mktemp("tiny25")
    config = json.loads((tiny / "config.json").read_text())
    ids = {key: config[key] for key in config if key.endswith("_token_id")}
    text = {key: value for key, value in config["text_config"].items() if key != "model_type"}
    sizes = {key: config["vision_config"][key] for key in ("depth", "hidden_size", "num_heads", "patch_size")}
    vision = {**sizes, "out_hidden_size": text["hidden_size"], "fullatt_block_indexes": [1], "intermediate_size": 128}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids))
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = qwen2_5_vl_chat_template
    tokenizer.save_pretrained(folder)
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (tiny / name).is_file():
            (folder / name).write_text((tiny / name).read_text())
    return folder


def stamped(sizes: list[tuple[int, int]], first_s: float = 0.0) -> list[Row]:
    """Blocks of stamped frames of these sizes."""
    shown: list[Row] = []
    for n, size in enumerate(sizes):
        shown += [{"type": "text", "text": f"<{first_s + n:.1f} seconds>"}, {"type": "image", "size_wh": size}]
    return shown


def said(role: str, content: list[Row] | str, call: Row | None = None, loss: bool = True) -> Row:
    """A message in the dataset's columns."""
    blocks = [{"type": "text", "text": content}] * bool(content) if isinstance(content, str) else content
    calls = [{"id": "call_1", "type": "function", "function": call}] if call else []
    return {"role": role, "content": blocks, "tool_calls": calls, "loss": loss and role == "assistant"}


@pytest.fixture(scope="session")
def trajectory() -> Callable[..., Row]:
    """Makes `sft` rows with pictures of noise: an overview, a look at the mark, crops, an answer."""

    def make(name: str, crops: int = 1, side: int = 56, refused: bool = False, thought: str = "I look.") -> Row:
        overview, mark, crop = [(side, side)] * 3, [(2 * side, side)], [(side, side + 28)] * 4
        messages = [
            said("system", "You answer a question about one thing in a video."),
            said("user", [*stamped(overview), {"type": "text", "text": "Question: What colour?"}]),
        ]
        if refused:
            wrong = {"name": "view_visual_prompt", "arguments": {"frame_path": "video"}}
            messages += [said("assistant", "<think>Wrong.</think>", wrong, loss=False), said("tool", "Error: no.")]
        view = {"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}
        messages += [said("assistant", f"<think>{thought}</think>", view), said("tool", stamped(mark, 4.0))]
        sizes = overview + mark
        for n in range(crops):
            span = {"name": "crop_video", "arguments": {"video_path": "video", "start_time": n, "end_time": n + 0.5}}
            messages += [said("assistant", "", span), said("tool", stamped(crop, n))]
            sizes += crop
        messages.append(said("assistant", "<think>It is red.</think>\n<answer>A</answer>"))
        rng = np.random.default_rng(len(name))
        pictures = [PIL.Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]
        return {"id": name, "messages": messages, "tools": tool_schemas(), "images": pictures}

    return make


@pytest.fixture(scope="session")
def recipe(run: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> "Callable[..., SftRecipe]":
    """Makes recipes of four steps on the smallest world; keys are dotted, as in `--set`."""
    from seekerdata.recipe import load_recipe
    from seekertrain.sft import SftRecipe

    values = {
        "name": "small",
        "model": str(tiny),
        "data": str(run / "dataset"),
        "held_out_share": 0.3,
        "trainer": {
            "max_steps": 4,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            "save_steps": 2,
            "use_cpu": True,
            "gradient_checkpointing": False,
        },
    }

    def make(out: Path, *changes: str) -> SftRecipe:
        file = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
        file.write_text(yaml.safe_dump(values | {"out": str(out)}))
        return load_recipe(SftRecipe, file, changes)

    return make


@pytest.fixture(scope="session")
def rl_recipe(run: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> "Callable[..., RlRecipe]":
    """Makes recipes of two steps of `rl` on the smallest world; keys are dotted, as in `--set`."""
    from seekerdata.recipe import load_recipe
    from seekertrain.rl import RlRecipe

    trainer = {"max_steps": 2, "num_generations": 2, "per_device_train_batch_size": 2, "max_completion_length": 30}
    trainer |= {"logging_steps": 1, "save_steps": 2, "use_cpu": True, "gradient_checkpointing": False}
    values = {"name": "small", "model": str(tiny), "data": str(run / "dataset"), "play": {"overview_fps": 0.2}}

    def make(out: Path, *changes: str) -> RlRecipe:
        file = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
        file.write_text(yaml.safe_dump(values | {"out": str(out), "trainer": trainer}))
        return load_recipe(RlRecipe, file, changes)

    return make


@pytest.fixture(scope="session")
def grouped(run: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> "Callable[..., Any]":
    """Makes GRPO trainers of one step over the smallest world's questions; `script` is what the model says instead."""

    def make(rewards: list[Callable[..., Any]], script: list[str] | None = None, play: Row | None = None, **keys: Any):
        from transformers import AutoModelForImageTextToText
        from trl import GRPOConfig

        from seekerdata.processor import NEVER_SAID
        from seekerdata.rollout import RolloutSettings
        from seekertrain.environment import Environments
        from seekertrain.grpo import GroupTrainer
        from seekertrain.processor import load_processor
        from seekertrain.questions import load, playable
        from seekertrain.rows import Data

        settings = RolloutSettings.model_validate({"overview_fps": 0.2, **(play or {})})
        values = {"num_generations": 2, "per_device_train_batch_size": 2, "max_steps": 1, "logging_steps": 1}
        values |= {"max_completion_length": 700, "max_tool_calling_iterations": settings.max_rounds, "use_cpu": True}
        values |= {"report_to": "none", "save_strategy": "no", "gradient_checkpointing": False, "bf16": False}
        values |= {"remove_unused_columns": False, "disable_tqdm": True, "temperature": 1.0}
        processor = load_processor(str(tiny))
        unsaid = processor.tokenizer.convert_tokens_to_ids(list(NEVER_SAID))
        values["generation_kwargs"] = {"suppress_tokens": unsaid}
        config = GRPOConfig(str(tmp_path_factory.mktemp("grpo")), **values | keys)
        model = AutoModelForImageTextToText.from_pretrained(tiny)
        if script is not None:
            model.__class__ = scripted(type(model), script, processor.tokenizer)
        data = Data(path=str(run / "dataset"))
        rows = playable(load(data), data, settings.mode)
        factory = Environments(rows.videos, settings)
        return GroupTrainer(model, config, rows, None, processor, factory, rewards)

    return make


def scripted(kind: type, script: list[str], tokenizer: Any) -> type:
    """A model of this kind that says one line of a script after the other, whatever it is shown."""
    lines = iter(script)

    class Scripted(kind):  # type: ignore[misc,valid-type]
        def generate(self, input_ids: Any, **_: Any) -> Any:
            said = tokenizer(next(lines) + tokenizer.eos_token, return_tensors="pt")["input_ids"]
            return torch.cat([input_ids, said.expand(len(input_ids), -1)], dim=1)

    Scripted.__name__ = kind.__name__
    return Scripted
