"""player: the policy of a model in this process. Rollouts that wait at one moment are answered in one batch.

It renders a conversation exactly as training does, so that a model meets when it plays what it met when it learnt.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field, PrivateAttr

from seekerdata.dataset import messages
from seekerdata.observation import PromptFrame
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.trajectory import Trajectory
from seekerdata.video import Video

NEVER = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>")
"""Tokens a model must not write: they would stand for pictures that are not there, or for another speaker."""


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
        loop = asyncio.get_running_loop()
        asked = _Asked(conversation, loop.create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            loop.call_soon(self._settle, 0)
        return Reply(text=await asked.answer)

    def _settle(self, before: int) -> None:
        """Answer once nobody joins any more: whoever can go on has done so by the next round of the event loop."""
        if before < len(self._waiting) < self.batch_size:
            asyncio.get_running_loop().call_soon(self._settle, len(self._waiting))
            return
        batch, rest = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
        self._waiting[:] = rest
        if rest:
            asyncio.get_running_loop().call_soon(self._settle, 0)
        try:
            texts = self.write([asked.conversation for asked in batch])
        except Exception as error:
            for asked in batch:
                asked.answer.set_exception(error)
            return
        for asked, text in zip(batch, texts, strict=True):
            asked.answer.set_result(text)

    def write(self, conversations: Sequence[Conversation]) -> list[str]:
        """What the model says next in each conversation."""
        import torch

        tokenizer = self.processor.tokenizer
        inputs = _inputs(self.processor, conversations)
        inputs = {name: value.to(self.model.device) for name, value in inputs.items()}
        chosen = {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            written = self.model.generate(
                **inputs,
                **chosen,
                max_new_tokens=self.max_new_tokens,
                suppress_tokens=[tokenizer.convert_tokens_to_ids(token) for token in NEVER],
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        self.model.train(training)
        new = written[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


def _inputs(processor: Any, conversations: Sequence[Conversation]) -> dict[str, Any]:
    import numpy as np
    import torch

    tokenizer = processor.tokenizer
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    rows, pictures = [], []
    for c in conversations:
        shown = [c.pictures[i] for t in c.turns for i in t.images]
        pictures += shown
        text = _plain(messages(c.turns))
        ids = np.array(
            tokenizer.apply_chat_template(
                text, tools=c.schemas or None, add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
        )
        rows.append(np.repeat(ids, np.where(ids == pad, 4, 1)))
    seen = processor.image_processor(images=pictures, return_tensors="pt")
    length = max(map(len, rows))
    ids = np.full((len(rows), length), tokenizer.pad_token_id)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, length - len(row) :] = row
        mask[i, length - len(row) :] = 1
    ids = torch.from_numpy(ids)
    return {
        "input_ids": ids,
        "attention_mask": torch.from_numpy(mask),
        "mm_token_type_ids": (ids == pad).int(),
        "pixel_values": seen["pixel_values"],
        "image_grid_thw": seen["image_grid_thw"],
    }


def _plain(turns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for turn in turns:
        content = [{"type": b["type"], **({"text": b["text"]} if b["type"] == "text" else {})} for b in turn["content"]]
        message = {"role": turn["role"], "content": content}
        if turn["tool_calls"]:
            message["tool_calls"] = turn["tool_calls"]
        kept.append(message)
    return kept


class Played(NamedTuple):
    """One row as it was played; `right` by letter or by the very words."""

    sample: Sample
    trajectory: Trajectory


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
        plays.append(rollout(policy, asked(row), Video(video_root / row["video_path"]), prompts, settings))
    return list(await asyncio.gather(*plays))


def asked(row: dict[str, Any]) -> Sample:
    """The question of a `qa` or an `rl` row; the latter is asked without options."""
    video = VideoRef(
        path=row["video_path"],
        sha256=row["video_sha256"],
        duration_s=row["video_duration_s"],
        size_wh=tuple(row["video_size_wh"]),
        fps=0.0,
    )
    return Sample(
        id=row["id"],
        video=video,
        question=row["question"],
        options=tuple(row["options"]) if "answer_text" in row else (),
        answer=row["answer"],
        dimension=row["dimension"],
        target=Target(tag=row["tag"], window_s=tuple(row["window_s"]) or None, event_s=tuple(row["event_s"]) or None),
    )
