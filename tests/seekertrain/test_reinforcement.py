"""That reward mends a policy: taught to guess as often as to look, it learns to look; and a rate that is too high kills
its tool use, which the alarm says. Minutes on one core, so both are slow; `make train-demo` shows the same at length.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seekerdata.dataset import messages
from seekerdata.dataset_row import asked
from seekerdata.grade import grade_by_rule
from seekerdata.observation import PromptFrame, materialise
from seekerdata.player import Player, play_all
from seekerdata.rollout import Conversation, Reply, rollout
from seekerdata.sample import Sample
from seekerdata.tools import tool_schemas
from seekerdata.video import Video
from seekertrain.looks import looks
from tests.clips import make_clip
from tests.seekertrain.test_learning import PLAY, Guide, fit, marked_row

torch = pytest.importorskip("torch", reason="needs the train extra")

TAUGHT, HELD = 192, 64
Row = dict[str, Any]


class Guesser(Guide):
    """Some questions it answers without a look, as it happens."""

    share: float

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        draw = random.Random(sample.id)
        if draw.random() < self.share:
            return Reply(f"<think>I guess.</think>\n<answer>{draw.choice(['left', 'right'])}</answer>")
        return await super().reply(conversation, sample)


@pytest.fixture(scope="module", params=[0.5])
def start(
    request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, list[Row]]:
    """A model that guesses at a share of the questions, the folder of its one clip, all rows, those held out last."""
    from transformers import AutoModelForImageTextToText

    from seekertrain.batch import Encoder
    from seekertrain.processor import load_processor

    folder = tmp_path_factory.mktemp("guesser")
    clip = make_clip(folder / "clip.mp4", size=(56, 56))
    rows = [marked_row(n, clip) for n in range(TAUGHT + HELD)]
    processor = load_processor(str(tiny))
    model, encoder = AutoModelForImageTextToText.from_pretrained(tiny).train(), Encoder(processor)
    shown = [_trajectory(Guide(), row, clip) for row in rows[:TAUGHT]]
    fit(model, encoder, [look for row in shown for look in looks(row)], steps=64, size=16)
    fit(model, encoder, shown, steps=32, size=8)
    fit(
        model,
        encoder,
        [_trajectory(Guesser(share=request.param), row, clip) for row in rows[:TAUGHT]],
        steps=48,
        size=8,
    )
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return folder / "model", folder, rows


def _trajectory(policy: Guide, row: Row, clip: Path) -> Row:
    video, prompt = Video(clip), PromptFrame(row["image"], row["frame_time_s"])
    play = asyncio.run(rollout(policy, asked(row), video, [prompt], PLAY))
    pictures = materialise(play.images, video, {"prompt_1": prompt})
    return {"id": row["id"], "messages": messages(play.turns), "tools": tool_schemas(), "images": pictures}


def _trainer(start: tuple[Path, Path, list[Row]], out: Path, tell: Callable[[str], None], **keys: Any) -> Any:
    """A trainer of that model over the rows that are not held out, with our rewards and our alarm."""
    from datasets import Dataset
    from transformers import AutoModelForImageTextToText
    from trl import GRPOConfig

    from seekerdata.processor import NEVER_SAID
    from seekertrain.alarm import AlarmSettings
    from seekertrain.environment import Environments
    from seekertrain.grpo import GroupTrainer
    from seekertrain.processor import load_processor
    from seekertrain.questions import Questions
    from seekertrain.rewards import RewardSettings, reward_functions
    from seekertrain.watch import Watch

    model, videos, rows = start
    asked_rows = [{**row, "marked": row["image"], "task": "open_ended"} for row in rows[:TAUGHT]]
    named = [{k: v for k, v in row.items() if k not in ("image", "answer_text")} for row in asked_rows]
    data = Dataset.from_list(named).with_transform(_with_prompt)
    processor = load_processor(str(model))
    unsaid = processor.tokenizer.convert_tokens_to_ids(list(NEVER_SAID))
    rewards, weights = reward_functions(RewardSettings())
    values = {"num_generations": 8, "per_device_train_batch_size": 16, "temperature": 1.0, "beta": 0.0, "seed": 0}
    values |= {"max_completion_length": 120, "max_tool_calling_iterations": PLAY.max_rounds, "use_cpu": True}
    values |= {"report_to": "none", "save_strategy": "no", "gradient_checkpointing": False, "bf16": False}
    values |= {"remove_unused_columns": False, "disable_tqdm": True, "logging_steps": 1, "reward_weights": weights}
    values |= {"generation_kwargs": {"suppress_tokens": unsaid, "max_new_tokens": 60}, "lr_scheduler_type": "constant"}
    watch = Watch(AlarmSettings(window=5), tell)
    return GroupTrainer(
        AutoModelForImageTextToText.from_pretrained(model),
        GRPOConfig(str(out), **values | keys),
        Questions(data, videos),
        None,
        processor,
        Environments(videos, PLAY),
        rewards,
        callbacks=[watch],
        seen=lambda step, rolled: watch.seen(rolled),
    )


def _with_prompt(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    from seekertrain.environment import begun

    return {**batch, "prompt": [begun("tool") for _ in batch["id"]]}


def _held_out(trainer: Any, start: tuple[Path, Path, list[Row]]) -> tuple[float, float]:
    """Of greedy plays of the rows held out: the share that is right, the share that looked."""
    _, videos, rows = start
    player = Player(model=trainer.model, processor=trainer.processing_class, max_new_tokens=60)
    plays = play_all(player, rows[TAUGHT:], videos, PLAY)
    right = [grade_by_rule(play.answer, asked(row)) for play, row in zip(plays, rows[TAUGHT:], strict=True)]
    return sum(right) / HELD, sum(bool(play.calls) for play in plays) / HELD


@pytest.mark.slow
def test_reward_teaches_to_look_before_one_answers(start: Any, tmp_path: Path) -> None:
    trainer = _trainer(start, tmp_path, lambda line: None, max_steps=30, learning_rate=1e-4)
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    means = [[sum(e[key] for e in part) / 5 for part in (steps[:5], steps[-5:])] for key in ("rewards/accuracy/mean",)]
    (before, after), (right, looked) = means[0], _held_out(trainer, start)
    print(f"accuracy of rollouts {before:.2f} -> {after:.2f}; held out {right:.2f} right, {looked:.2f} looked")
    assert after >= before + 0.1
    assert right >= 0.9 and looked == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("start", [0.1], indirect=True)
def test_a_rate_that_kills_tool_use_raises_the_alarm(start: Any, tmp_path: Path) -> None:
    from seekerdata.errors import SeekerError

    told: list[str] = []
    trainer = _trainer(start, tmp_path, told.append, max_steps=30, learning_rate=3e-3)
    with pytest.raises(SeekerError, match=r"^stopped at step \d+: tool use has collapsed: calls per rollout"):
        trainer.train()
    assert trainer.state.global_step < 30 and any("tool use has collapsed" in line for line in told)
