"""Arms: a step of stock TRL's GRPOTrainer and of ours with one script, model, seed and toolset, for rolling.py."""

import copy
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
sys.path[:0] = [str(Path(__file__).parent.parent)]

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, PrinterCallback, TrainerCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

from seekerdata.observation import Observation, picture_hash  # noqa: E402
from seekerdata.rollout import RolloutSettings  # noqa: E402
from seekerdata.video import Video  # noqa: E402
from seekertrain.environment import Environment, Environments  # noqa: E402
from seekertrain.grpo import GroupTrainer  # noqa: E402
from seekertrain.processor import NEVER_SAID, load_processor  # noqa: E402
from seekertrain.questions import load, playable  # noqa: E402
from seekertrain.rewards import RewardSettings, reward_functions  # noqa: E402
from seekertrain.rows import Data  # noqa: E402
from seekertrain.shared import Pictures, _flat  # noqa: E402

ROWS, TIMES = 2, 8
ARMS = ("stock", "ours")
WEIGHED = [0, 2]
"""Accuracy and parsimony; stock TRL takes thoughts out of what a reward is shown, so the form is not the same."""
ANSWER = "<think>It is red.</think>\n<answer>red</answer>"


def call(name: str, arguments: str) -> str:
    return f'<think>I look.</think>\n<tool_call>\n{{"name": "{name}", "arguments": {{{arguments}}}}}\n</tool_call>'


def said(rollout: int, turn: int) -> str:
    """What a rollout says: it views the mark, then half of a group look at one stretch, the others each at another."""
    if turn == 0:
        return call("view_visual_prompt", '"frame_path": "prompt_1"')
    start_s = 2.0 if rollout % 2 else 1.0 + 0.5 * (rollout % TIMES)
    crop = call("crop_video", f'"video_path": "video", "start_time": {start_s}, "end_time": {start_s + 1.5}')
    return crop if turn <= 1 + (rollout % 4 == 0) else ANSWER


def scripted(kind: type, tokenizer: Any, batch: int, real: bool) -> type:
    """A model that says the script; where `real` it writes as many tokens itself first, so that they cost time."""
    playing, turn = list(range(batch)), 0

    class Scripted(kind):  # type: ignore[misc,valid-type]
        def generate(self, input_ids: Any, **given: Any) -> Any:
            nonlocal playing, turn
            assert len(playing) == len(input_ids)
            lines = [said(rollout, turn) for rollout in playing]
            told = [tokenizer(line + tokenizer.eos_token)["input_ids"] for line in lines]
            length = max(map(len, told))
            if real:
                settings = copy.deepcopy(given.pop("generation_config"))
                settings.min_new_tokens = settings.max_new_tokens = length
                super().generate(input_ids, generation_config=settings, **given)
            padded = [ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids in told]
            playing = [n for n, line in zip(playing, lines, strict=True) if line != ANSWER] or list(range(batch))
            turn = 0 if len(playing) == batch and ANSWER in lines else turn + 1
            return torch.cat([input_ids, torch.tensor(padded, device=input_ids.device)], dim=1)

    Scripted.__name__ = kind.__name__
    return Scripted


class Alone(Environments):
    """What an environment is shown that shares nothing: every call reads the video, every picture is its own."""

    def __init__(self, videos: Path, settings: RolloutSettings) -> None:
        super().__init__(videos, settings, Pictures(0))

    def _with_shared(self, observation: Observation) -> Observation:
        return observation


class Seen(TrainerCallback):
    """CPU and wall seconds of the step, of those the model's, and what was played."""

    def __init__(self) -> None:
        self.spent, self.played, self.rewards = Counter[str](), list[Any](), list[Any]()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.process_time(), time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.spent["step"] += time.process_time() - self._began[0]
        self.spent["wall"] += time.perf_counter() - self._began[1]

    def watch(self, holder: Any, name: str, key: str, clock: Callable[[], float] = time.process_time) -> None:
        work = getattr(holder, name)

        def timed(*given: Any, **more: Any) -> Any:
            start = clock()
            try:
                return work(*given, **more)
            finally:
                self.spent[key] += clock() - start

        setattr(holder, name, timed)

    def count_preprocessed(self, processor: Any) -> None:
        stock, spent = type(processor.image_processor), self.spent

        class Counting(stock):  # type: ignore[misc,valid-type]
            def preprocess(self, images: Any, *given: Any, **more: Any) -> Any:
                spent["preprocessed"] += len(_flat(images))
                return super().preprocess(images, *given, **more)

        processor.image_processor.__class__ = Counting

    def keep(self, completions: Any) -> None:
        self.played = [
            [(turn["role"], block["text"] if block["type"] == "text" else picture_hash(block["image"]))
             for turn in completion if turn["role"] == "tool" for block in turn["content"]]
            for completion in completions
        ]  # fmt: skip


@contextmanager
def counted(spent: Counter[str]) -> Iterator[None]:
    """Frames that are decoded meanwhile."""
    decode = Video._decode

    def counting(self: Any, times: list[float], max_pixels: int | None) -> Any:
        spent["decoded"] += len(times)
        return decode(self, times, max_pixels)

    Video._decode = counting  # type: ignore[method-assign]
    try:
        yield
    finally:
        Video._decode = decode  # type: ignore[method-assign]


def trainer_of(arm: str, folder: Path, seen: Seen, play: RolloutSettings, rows: int, real: bool, **keys: Any) -> Any:
    """An arm's trainer of one step of all rows, each played eight times."""
    processor = load_processor(f"{folder}/tiny")
    model = AutoModelForImageTextToText.from_pretrained(f"{folder}/tiny")
    batch = rows * TIMES
    model.__class__ = scripted(type(model), processor.tokenizer, batch, real)
    rewards, _ = reward_functions(RewardSettings())
    weights = [float(n in WEIGHED) for n in range(len(rewards))]
    values = {"num_generations": TIMES, "per_device_train_batch_size": batch, "max_steps": 1, "logging_steps": 1}
    values |= {"max_completion_length": 3000, "max_tool_calling_iterations": 5, "reward_weights": weights, "seed": 0}
    values |= {"report_to": "none", "save_strategy": "no", "gradient_checkpointing": False, "bf16": False}
    values |= {"remove_unused_columns": False, "disable_tqdm": True, "beta": 0.0, "use_cpu": True}
    values["generation_kwargs"] = {"suppress_tokens": processor.tokenizer.convert_tokens_to_ids(list(NEVER_SAID))}
    settings = GRPOConfig(f"{folder}/{arm}", **values | keys)
    data = Data(path=f"{folder}/dataset")
    played = playable(load(data).select(range(rows)), data, play.mode)
    if arm == "ours":
        factory = Environments(played.videos, play)
        return GroupTrainer(model, settings, played, None, processor, factory, rewards, callbacks=[seen])
    seen.count_preprocessed(processor)
    processor.tokenizer.padding_side = "left"  # or the loss's forward looks for pictures at other tokens
    made = GRPOTrainer(
        model, rewards, settings, train_dataset=played.data, processing_class=processor, callbacks=[seen],
        environment_factory=lambda: Environment(Alone(played.videos, play)),
    )  # fmt: skip
    made.remove_callback(PrinterCallback)
    return made


def step(arm: str, folder: Path, play: RolloutSettings, rows: int = ROWS, real: bool = True, **keys: Any) -> Seen:
    """One step of an arm: what it cost and what came of it."""
    seen = Seen()
    trainer = trainer_of(arm, folder, seen, play, rows, real, **keys)
    score = trainer._calculate_rewards

    def scored(inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        seen.keep(completions)
        seen.rewards = score(inputs, prompts, completions, ids)
        return seen.rewards

    trainer._calculate_rewards = scored
    for holder, name in ((trainer.model, "generate"), (trainer, "compute_loss"), (trainer.accelerator, "backward")):
        seen.watch(holder, name, "model")
    seen.watch(trainer, "_tool_call_loop", "tools", time.perf_counter)
    before = trainer.patches.made if arm == "ours" else 0
    seen.spent["preprocessed"] = 0  # TRL tries the template with a picture of its own
    with counted(seen.spent):
        trainer.train()
    if arm == "ours":
        seen.spent["preprocessed"] = trainer.patches.made - before
    turns = [turn for environment in trainer.environments for turn in environment._conversation.turns]
    seen.spent["shown"] = sum(len(turn.images) for turn in turns)
    seen.spent["distinct"] = len({image.sha256 for turn in turns for image in turn.images})
    pictures = {(e.sample_id, i.time_s, i.max_pixels) for e in trainer.environments for t in e._conversation.turns
                for i in t.images if i.source == "video"}  # fmt: skip
    seen.spent["frames"] = len(pictures)
    (seen.logged,) = [entry for entry in trainer.state.log_history if "loss" in entry]
    return seen


def outside(seen: Seen) -> float:
    """CPU seconds of a step that are not generate, forward and backward."""
    return seen.spent["step"] - seen.spent["model"]


def alike(stock: Seen, ours: Seen) -> None:
    """Both arms played and learnt the same."""
    assert stock.played == ours.played and len(stock.played) > 0
    assert torch.equal(stock.rewards[:, WEIGHED], ours.rewards[:, WEIGHED])
    assert len(set(stock.rewards[:, WEIGHED].sum(dim=1).tolist())) > 1, "nothing would be learnt"
    for key in ("loss", "grad_norm", "reward", "completions/mean_length"):
        assert math.isclose(stock.logged[key], ours.logged[key], rel_tol=1e-3, abs_tol=1e-4), key
