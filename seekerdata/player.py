"""Player: the policy of a model in this process. Rollouts that wait at one moment are answered in one batch.

It renders a conversation exactly as training does, so that a model meets when it plays what it met when it learnt.
"""

import asyncio
import atexit
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import ConfigDict, Field, PrivateAttr

from seekerdata.control import WHOLE, Control
from seekerdata.dataset import messages
from seekerdata.dataset_row import asked
from seekerdata.drawn_mark import prompt_frame
from seekerdata.errors import ItemError
from seekerdata.patches import grid_of, patchify
from seekerdata.processor import IMAGE, NEVER_SAID, chat
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import StopReason, Trajectory
from seekerdata.video import Video
from seekerdata.vision_model import first_line, is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor


UNANSWERED = "the model failed on the batch that this play waited in"
_writing = Lock()
"""One model of a process writes at a time, whichever thread asks it."""
_leaving = Event()
"""Set when the process ends: what is being written is broken off."""


class _Asked(NamedTuple):
    conversation: Conversation
    answer: "asyncio.Future[Reply]"


_Waiting = WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Asked]]


class Player(Policy):
    """A transformers model and its processor. Greedy unless a temperature is given."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: Any
    processor: Any
    batch_size: int = Field(default=64, ge=1)
    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    _waiting: _Waiting = PrivateAttr(default_factory=WeakKeyDictionary)
    """Those of each event loop: who waits in one is answered in it."""

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The model's next turn; `sample` is not read. A turn cut at its limit calls nothing and answers nothing.

        Raises:
            ItemError: `bad_image`; `out_of_memory` or `model_failed`, to be tried again.
        """
        self._grids(conversation)  # a picture that the model refuses is told to its own play
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(loop, [])
        asked = _Asked(conversation, loop.create_future())
        waiting.append(asked)
        if len(waiting) == 1:  # the first to wait writes for all
            await _all(waiting)
            self._answer(waiting)
        return await asked.answer

    def _answer(self, waiting: list[_Asked]) -> None:
        """Write for all that wait; if the model fails, nobody is left waiting."""
        asked, waiting[:] = list(waiting), []
        try:
            for start in range(0, len(asked), self.batch_size):
                batch = asked[start : start + self.batch_size]
                for one, reply in zip(batch, self.write([one.conversation for one in batch]), strict=True):
                    one.answer.set_result(reply)
        finally:
            for one in asked[1:]:
                if not one.answer.done():
                    one.answer.set_exception(ItemError("model_failed", UNANSWERED, retryable=True))

    def write(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """What the model says next in each conversation.

        Raises:
            ItemError: `out_of_memory`.
        """
        _leave_in_order()
        with _writing:
            inputs = self._inputs(conversations)
            try:
                new = self._generated(inputs)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                rows, tokens = inputs["input_ids"].shape
                hint = "ask fewer at once, or show less"
                text = f"no memory left for {rows} plays of up to {tokens} tokens: {hint} ({first_line(error)})"
                raise ItemError("out_of_memory", text, retryable=True) from None
        read = inputs["attention_mask"].sum(dim=1).tolist()
        return [self._reply(*pair) for pair in zip(new, read, strict=True)]

    def _generated(self, inputs: "dict[str, Tensor]") -> list[list[int]]:
        """The tokens that the model writes behind each row of a batch; what follows an end is padding."""
        import torch

        tokenizer = self.processor.tokenizer
        chosen = {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            written = self.model.generate(
                **inputs,
                **chosen,
                stopping_criteria=[_broken_off],
                max_new_tokens=self.max_new_tokens,
                suppress_tokens=[tokenizer.convert_tokens_to_ids(token) for token in NEVER_SAID],
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        self.model.train(training)
        found: list[list[int]] = written[:, inputs["input_ids"].shape[1] :].tolist()
        return found

    def _reply(self, ids: list[int], read: int) -> Reply:
        """The reply that these tokens are; one without an end was cut off."""
        end = self.processor.tokenizer.eos_token_id
        whole = end in ids
        said = ids[: ids.index(end) + 1] if whole else ids
        text = self.processor.tokenizer.decode(said, skip_special_tokens=True).strip()
        usage = {"calls": 1, "input_tokens": read, "output_tokens": len(said)}
        return Reply(text, stop=None if whole else StopReason.TOO_LONG, usage=usage)

    def _grids(self, conversation: Conversation) -> list[tuple[int, int, int]]:
        """The patches of every picture. Raises ItemError as `grid_of` does."""
        pictures = [image for turn in conversation.turns for image in turn.images]
        return [grid_of(conversation.pictures[image].size, self.processor.image_processor) for image in pictures]

    def _inputs(self, conversations: Sequence[Conversation]) -> "dict[str, Tensor]":
        """The conversations as a batch that is padded on the left, ready for the next turn."""
        import torch

        tokenizer, settings = self.processor.tokenizer, self.processor.image_processor
        shown = [[c.pictures[image] for turn in c.turns for image in turn.images] for c in conversations]
        grids = [self._grids(c) for c in conversations]
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


@lru_cache(maxsize=1)
def _leave_in_order() -> None:
    """Let the process end only when no thread writes any more: one that is inside torch would abort it."""

    def leave() -> None:
        _leaving.set()
        _writing.acquire()

    atexit.register(leave)


def _broken_off(ids: "Tensor", scores: Any, **_: Any) -> "Tensor":
    """Which rows of a batch are not to be continued, as transformers asks after each token."""
    return ids.new_full((len(ids),), int(_leaving.is_set())).bool()


async def _all(waiting: Sequence[_Asked]) -> None:
    """Return when nobody joins any more: whoever can go on does so within one round of the event loop."""
    count = 0
    while count < len(waiting):
        count = len(waiting)
        await asyncio.sleep(0)


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
        video, control = Video(video_root / row["video_path"]), control_of(settings)
        plays.append(rollout(policy, asked(row), video, [prompt_frame(row, video)], settings, control=control))
    return list(await asyncio.gather(*plays))


def control_of(settings: RolloutSettings) -> Control:
    """Who may not look is shown the marked frame at once."""
    return WHOLE if settings.mode == "tool" else Control("both", tools=())
