"""player: a model plays many questions at once, each as if it were alone, and meets what it was trained on."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seekerdata.errors import ItemError
from seekerdata.observation import PromptFrame, materialise
from seekerdata.player import Player
from seekerdata.processor import load_processor
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, ending, opening, read_reply, rollout
from seekerdata.sample import Sample
from seekerdata.tools import tool_schemas
from seekerdata.trajectory import StopReason, ToolCall
from seekerdata.video import Video
from seekertrain.batch import Encoder

torch = pytest.importorskip("torch", reason="needs the train extra")


@pytest.fixture(scope="module")
def player(tiny_qwen: Path) -> Player:
    """An untrained model: its words mean nothing, but they are the same each time."""
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny_qwen)
    return Player(model=model, processor=load_processor(str(tiny_qwen)), max_new_tokens=8)


class Looks(Policy):
    """Looks at the mark, then answers."""

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        if not conversation.rounds:
            call = ToolCall(id="call_1", name="view_visual_prompt", arguments={"frame_path": "prompt_1"})
            return Reply("<think>I look.</think>", (call,))
        return Reply("<think>I see.</think>\n<answer>A</answer>")


class Noted(Player):
    """Answers at once, and notes how many were answered together."""

    def write(self, conversations: Sequence[Conversation]) -> list[Reply]:
        self.model.append(len(conversations))
        call = '<tool_call>\n{"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}\n</tool_call>'
        return [Reply(call if not c.rounds else "<answer>A</answer>") for c in conversations]


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


def test_who_waits_at_one_moment_is_answered_together(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    sizes: list[int] = []
    noted = Noted(model=sizes, processor=player.processor, batch_size=4)

    async def six() -> list[Any]:
        plays = [rollout(noted, sample, video, prompts, RolloutSettings()) for _ in range(6)]
        return await asyncio.gather(*plays)

    found = asyncio.run(six())
    assert noted.model == [4, 2, 4, 2]
    assert [(play.stop, play.answer, len(play.calls)) for play in found] == [(StopReason.ANSWERED, "A", 1)] * 6


def test_threads_with_loops_of_their_own_share_a_player(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    alone = asyncio.run(rollout(player, sample, video, prompts, RolloutSettings()))
    with ThreadPoolExecutor(4) as threads:
        plays = [
            threads.submit(asyncio.run, rollout(player, sample, video, prompts, RolloutSettings())) for _ in "1234"
        ]
        assert [play.result(60) for play in plays] == [alone] * 4


def test_a_model_that_fails_leaves_nobody_waiting(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    class Failing(Player):
        def write(self, conversations: Sequence[Conversation]) -> list[Reply]:
            raise RuntimeError("no such kernel")

    async def three() -> list[Any]:
        failing = Failing(model=None, processor=player.processor)
        plays = [rollout(failing, sample, video, prompts, RolloutSettings()) for _ in range(3)]
        return await asyncio.wait_for(asyncio.gather(*plays, return_exceptions=True), 20)

    first, *rest = asyncio.run(three())
    assert str(first) == "no such kernel"
    assert [(error.code, error.retryable) for error in rest] == [("model_failed", True)] * 2


def test_no_memory_left_is_said_and_may_be_tried_again(
    player: Player, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    class Full(Player):
        def _generated(self, inputs: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    full = Full(model=player.model, processor=player.processor)
    with pytest.raises(ItemError, match=r"no memory left for 1 plays of up to \d+ tokens: ask fewer at once") as told:
        asyncio.run(rollout(full, sample, video, prompts, RolloutSettings()))
    assert (told.value.code, told.value.retryable) == ("out_of_memory", True)


def test_a_turn_that_is_cut_calls_nothing_and_answers_nothing(player: Player) -> None:
    tokenizer = player.processor.tokenizer
    for said in ("<think>I see.</think>\n<answer>A</answer>", '<tool_call>\n{"name": "crop_video"}\n</tool_call>'):
        ids = tokenizer(said)["input_ids"]
        cut, whole = player._reply(ids, 9), player._reply([*ids, tokenizer.eos_token_id, tokenizer.pad_token_id], 9)
        assert cut.text == whole.text == said
        assert cut.usage == {"calls": 1, "input_tokens": 9, "output_tokens": len(ids)}
        assert not read_reply(cut, 0).tool_calls and ending(read_reply(cut, 0), cut.stop) == (StopReason.TOO_LONG, "")
        turn = read_reply(whole, 0)
        assert whole.stop is None and (turn.tool_calls or ending(turn, None) == (StopReason.ANSWERED, "A"))
