"""player: a model plays many questions at once, each as if it were alone, and meets what it was trained on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seekerdata.observation import PromptFrame, materialise
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, opening, rollout
from seekerdata.sample import Sample
from seekerdata.tools import tool_schemas
from seekerdata.trajectory import StopReason, ToolCall
from seekerdata.video import Video
from seekertrain.batch import Encoder
from seekertrain.player import Player
from seekertrain.processor import load_processor

torch = pytest.importorskip("torch", reason="needs the train extra")


@pytest.fixture(scope="module")
def player(tiny: Path) -> Player:
    """An untrained model: its words mean nothing, but they are the same each time."""
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny)
    return Player(model=model, processor=load_processor(str(tiny)), max_new_tokens=8)


class Looks(Policy):
    """Looks at the mark, then answers."""

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        if not conversation.rounds:
            call = ToolCall(id="call_1", name="view_visual_prompt", arguments={"frame_path": "prompt_1"})
            return Reply("<think>I look.</think>", (call,))
        return Reply("<think>I see.</think>\n<answer>A</answer>")


class Noted(Player):
    """Answers at once, and notes how many were answered together."""

    def write(self, conversations: Sequence[Conversation]) -> list[str]:
        self.model.append(len(conversations))
        call = '<tool_call>\n{"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}\n</tool_call>'
        return [call if not c.rounds else "<answer>A</answer>" for c in conversations]


def conversations(sample: Sample, video: Video, prompts: list[PromptFrame]) -> list[Conversation]:
    """Three of different lengths."""
    settings = [RolloutSettings(overview_fps=fps) for fps in (0.5, 1.0, 2.0)]
    return [opening(sample, video, prompts, one) for one in settings]


def test_answers_in_one_batch_are_those_of_each_alone(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    three = conversations(sample, video, prompts)
    assert len({sum(len(turn.images) for turn in c.turns) for c in three}) > 1
    assert player.write(three) == [player.write([one])[0] for one in three]


def test_what_is_played_is_token_by_token_what_is_trained(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    from seekerdata.dataset import messages

    play = asyncio.run(rollout(Looks(), sample, video, prompts, RolloutSettings()))
    row = {"id": "one", "messages": messages(play.turns), "tools": tool_schemas()}
    trained = Encoder(player.processor).encode(row)
    begun = Conversation(list(play.turns[:-1]), ("prompt_1",), schemas=tool_schemas())
    names = {f"prompt_{n}": prompt for n, prompt in enumerate(prompts, 1)}
    begun.pictures.update(zip(play.images, materialise(play.images, video, names), strict=True))
    asked = player._inputs([begun])["input_ids"][0].numpy()
    assert asked.tolist() == trained.ids[: len(asked)].tolist()
    assert trained.trained[len(asked) :].all()


def test_who_waits_at_one_moment_is_answered_together(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    sizes: list[int] = []
    noted = Noted(model=sizes, processor=None, batch_size=4)

    async def six() -> list[Any]:
        plays = [rollout(noted, sample, video, prompts, RolloutSettings()) for _ in range(6)]
        return await asyncio.gather(*plays)

    found = asyncio.run(six())
    assert noted.model == [4, 2, 4, 2]
    assert [(play.stop, play.answer, len(play.calls)) for play in found] == [(StopReason.ANSWERED, "A", 1)] * 6


def test_a_model_that_fails_leaves_nobody_waiting(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    class Failing(Player):
        def write(self, conversations: Sequence[Conversation]) -> list[str]:
            raise RuntimeError("out of memory")

    async def three() -> list[Any]:
        failing = Failing(model=None, processor=None)
        plays = [rollout(failing, sample, video, prompts, RolloutSettings()) for _ in range(3)]
        return await asyncio.wait_for(asyncio.gather(*plays, return_exceptions=True), 20)

    first, *rest = asyncio.run(three())
    assert str(first) == "out of memory" and all(isinstance(one, asyncio.CancelledError) for one in rest)
