"""player: the policy of a model in this process. Rollouts that wait at one moment are answered in one batch.

It renders a conversation exactly as training does, so that a model meets when it plays what it met when it learnt.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, PrivateAttr

from seekerdata.control import WHOLE, Control
from seekerdata.dataset import messages
from seekerdata.dataset_row import asked
from seekerdata.observation import PromptFrame
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import Trajectory
from seekerdata.video import Video
from seekertrain.batch import chat
from seekertrain.patches import grid_of, patchify
from seekertrain.processor import IMAGE, NEVER_SAID

if TYPE_CHECKING:
    from torch import Tensor


class _Asked(NamedTuple):
    conversation: Conversation
    answer: "asyncio.Future[str]"


class Player(Policy):
    """A transformers model and its processor. Greedy unless a temperature is given."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: Any
    processor: Any
    batch_size: int = Field(default=64, ge=1)
    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    _waiting: list[_Asked] = PrivateAttr(default_factory=list)

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The model's next turn; `sample` is not read."""
        asked = _Asked(conversation, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:  # the first to wait writes for all
            await self._all_waiting()
            self._answer()
        return Reply(text=await asked.answer)

    async def _all_waiting(self) -> None:
        """Return when nobody joins any more: whoever can go on does so within one round of the event loop."""
        count = 0
        while count < len(self._waiting):
            count = len(self._waiting)
            await asyncio.sleep(0)

    def _answer(self) -> None:
        """Write for all that wait; if the model fails, nobody is left waiting."""
        asked, self._waiting[:] = list(self._waiting), []
        try:
            for start in range(0, len(asked), self.batch_size):
                batch = asked[start : start + self.batch_size]
                for one, text in zip(batch, self.write([one.conversation for one in batch]), strict=True):
                    one.answer.set_result(text)
        finally:
            for one in asked:
                one.answer.cancel()  # does nothing to one that is answered

    def write(self, conversations: Sequence[Conversation]) -> list[str]:
        """What the model says next in each conversation."""
        import torch

        tokenizer = self.processor.tokenizer
        inputs = self._inputs(conversations)
        chosen = {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            written = self.model.generate(
                **inputs,
                **chosen,
                max_new_tokens=self.max_new_tokens,
                suppress_tokens=[tokenizer.convert_tokens_to_ids(token) for token in NEVER_SAID],
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        self.model.train(training)
        new = written[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]

    def _inputs(self, conversations: Sequence[Conversation]) -> "dict[str, Tensor]":
        """The conversations as a batch that is padded on the left, ready for the next turn."""
        import torch

        tokenizer, settings = self.processor.tokenizer, self.processor.image_processor
        shown = [[c.pictures[image] for turn in c.turns for image in turn.images] for c in conversations]
        grids = [[grid_of(picture.size, settings) for picture in pictures] for pictures in shown]
        rows = [self._tokens(*pair) for pair in zip(conversations, grids, strict=True)]
        ids = np.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id)
        mask = np.zeros_like(ids)
        for n, row in enumerate(rows):
            ids[n, -len(row) :], mask[n, -len(row) :] = row, 1
        kinds = (ids == tokenizer.convert_tokens_to_ids(IMAGE)).astype(np.int64)
        named = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds}
        found = {name: torch.from_numpy(values) for name, values in named.items()}
        if pictures := [picture for some in shown for picture in some]:
            found["pixel_values"] = patchify(pictures, settings)
            found["image_grid_thw"] = torch.tensor([grid for some in grids for grid in some])
        return {name: value.to(self.model.device) for name, value in found.items()}

    def _tokens(self, conversation: Conversation, grids: Sequence[tuple[int, int, int]]) -> np.ndarray:
        """One conversation up to the next turn, every picture as many tokens as the model has features for it."""
        tokenizer = self.processor.tokenizer
        said = tokenizer.apply_chat_template(
            chat(messages(conversation.turns)),
            tools=conversation.schemas or None,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        ids = np.array(said["input_ids"], dtype=np.int64)
        counts = np.ones(len(ids), dtype=np.int64)
        merged = int(self.processor.image_processor.merge_size) ** 2
        counts[ids == tokenizer.convert_tokens_to_ids(IMAGE)] = [int(np.prod(grid)) // merged for grid in grids]
        return np.repeat(ids, counts)


def play_all(
    policy: Policy, rows: Iterable[dict[str, Any]], video_root: Path, settings: RolloutSettings | None = None
) -> list[Trajectory]:
    """Play rows freely, all at once, each with tools of its own.

    Args:
        policy: who looks and answers.
        rows: of the `qa` or the `rl` configuration, as `load_dataset` gives them.
        video_root: the folder that `video_path` is relative to.
        settings: what is shown first, limits.

    Raises:
        ItemError: a video that cannot be shown.
    """
    return asyncio.run(_play_all(policy, list(rows), video_root, settings or RolloutSettings()))


async def _play_all(
    policy: Policy, rows: list[dict[str, Any]], video_root: Path, settings: RolloutSettings
) -> list[Trajectory]:
    plays = []
    for row in rows:
        prompts = [PromptFrame(row["image"], row["frame_time_s"])]
        video, control = Video(video_root / row["video_path"]), control_of(settings)
        plays.append(rollout(policy, asked(row), video, prompts, settings, control=control))
    return list(await asyncio.gather(*plays))


def control_of(settings: RolloutSettings) -> Control:
    """Who may not look is shown the marked frame at once."""
    return WHOLE if settings.mode == "tool" else Control("both", tools=())
