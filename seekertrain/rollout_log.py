"""RolloutLog: rollouts of a training step as lines and as a page: words, looks, every reward apart, the advantage.

Whatever a policy says can be written; pixels are references in the lines and are made again for the page.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.exhibit import Exhibit, answer_state
from seekerdata.observation import PromptFrame, materialise
from seekerdata.page import write_page
from seekerdata.sample import DIMENSIONS, Sample
from seekerdata.trajectory import Image, Trajectory
from seekerdata.video import Video
from seekerdata.workspace import write_atomically

ACCURACY = "accuracy"
"""The reward that says whether an answer is right; full marks are 1."""


@dataclass(frozen=True)
class Rolled:
    """One rollout and what it was worth.

    `rewards` are the parts by name, unweighted; a part that could not be told is None, or NaN as TRL has it.
    `reward` is None for a rollout that was left out of its group. `group` numbers the questions of a step.
    """

    sample: Sample
    trajectory: Trajectory
    rewards: Mapping[str, float | None]
    reward: float | None
    advantage: float | None
    group: int
    prompts: Sequence[PromptFrame] = field(default=(), repr=False)
    """The marked frames that could be viewed, in order; without them the page has no picture of them."""


@dataclass(frozen=True)
class RolloutLog:
    """Writes `train-<step>.jsonl` and its page into `rollouts/` of a run's folder.

    Attributes:
        out: the run's folder.
        videos: the folder that `video.path` of a sample is relative to.
        every: steps between records; 0: none.
        rollouts: at most so many are written of a step, whole groups first.
        processes: that train together; the rollouts are those of the first.
    """

    out: Path
    videos: Path
    every: int = 10
    rollouts: int = 32
    processes: int = 1

    def due(self, step: int) -> bool:
        """Whether a step is recorded; the first one always is, so that one sees at once what is trained."""
        return self.every > 0 and (step == 1 or step % self.every == 0)

    def record(self, step: int, rollouts: Sequence[Rolled]) -> Path | None:
        """Write a step's rollouts if it is due; returns the page.

        Args:
            step: the optimiser step that they are for, from 1.
            rollouts: all of that step that this process played.

        Raises:
            SeekerError: the disk is full or not writable.
        """
        if not self.due(step):
            return None
        shown = sorted(rollouts, key=lambda rolled: rolled.group)[: self.rollouts]
        stem = self.out / "rollouts" / f"train-{step:06d}"
        write_atomically(stem.with_suffix(".jsonl"), (_line(rolled) for rolled in shown))
        page, title = stem.with_suffix(".html"), f"{self.out.name}, rollouts of step {step}"
        write_page(
            page, title, self._facts(step, rollouts, len(shown)), [], self._exhibits(shown), dimensions=DIMENSIONS
        )
        return page

    def _facts(self, step: int, rollouts: Sequence[Rolled], shown: int) -> dict[str, str]:
        """What the page tells of all rollouts of the step, shown or not; a mean is of those that have the number."""
        of = f", those of the first of {self.processes} processes" if self.processes > 1 else ""
        facts = {"step": str(step), "rollouts": f"{len(rollouts)}{of}"}
        facts |= {"shown": f"the first {shown}"} if shown < len(rollouts) else {}
        facts["groups"] = str(len({rolled.group for rolled in rollouts}))
        facts["reward"] = _mean([rolled.reward for rolled in rollouts])
        for name in dict.fromkeys(name for rolled in rollouts for name in rolled.rewards):
            facts[name] = _mean([rolled.rewards.get(name) for rolled in rollouts])
        facts["calls per rollout"] = _mean([len(rolled.trajectory.calls) for rolled in rollouts])
        return facts

    def _exhibits(self, shown: Sequence[Rolled]) -> Iterator[Exhibit]:
        for _, of_group in groupby(shown, key=lambda rolled: rolled.group):
            group = list(of_group)
            sample, prompts = group[0].sample, group[0].prompts
            images = [image for rolled in group for image in rolled.trajectory.images]
            named = {f"prompt_{n}": prompt for n, prompt in enumerate(prompts, start=1)}
            look = looker(images, Video(self.videos / sample.video.path), named)
            for rolled in group:
                yield _exhibit(rolled, look, prompts[0].picture if prompts else None)


def looker(
    images: Sequence[Image], video: Video, prompts: Mapping[str, PromptFrame]
) -> Callable[[Image], PIL.Image.Image]:
    """Gives pictures by reference, all decoded when the first is asked for; if that fails, each asking says so."""
    pictures: dict[Image, PIL.Image.Image] = {}
    faults: list[ItemError] = []

    def look(image: Image) -> PIL.Image.Image:
        if faults:
            raise faults[0]
        if not pictures:
            known = [image for image in images if image.source == "video" or image.source in prompts]
            try:
                pictures.update(zip(known, materialise(known, video, prompts), strict=True))
            except ItemError as fault:
                faults.append(fault)
                raise
        if image not in pictures:
            raise ItemError("missing", f"{image.source} was not kept")
        return pictures[image]

    return look


def _exhibit(rolled: Rolled, look: Callable[[Image], PIL.Image.Image], marked: PIL.Image.Image | None) -> Exhibit:
    trajectory = rolled.trajectory
    if (accuracy := _number(rolled.rewards.get(ACCURACY))) is not None:
        trajectory = trajectory.model_copy(update={"correct": accuracy == 1.0})
    advantage = _number(rolled.advantage)
    side = "not said" if advantage is None else "above its group" if advantage > 0 else "below its group"
    return Exhibit(
        sample=rolled.sample,
        trajectory=trajectory,
        verdict="kept" if _number(rolled.reward) is not None else "left out of its group: it has no reward",
        picture=look,
        marked=marked,
        state=answer_state(trajectory),
        note=_worth(rolled),
        groups={
            "group": str(rolled.group),
            "reward": _figure(rolled.reward),
            "advantage": "none" if advantage == 0 else side,
        },
    )


def _worth(rolled: Rolled) -> str:
    """Reward, its parts and the advantage in one line."""
    parts = ", ".join(f"{name} {_figure(value)}" for name, value in rolled.rewards.items())
    return f"reward {_figure(rolled.reward)} ({parts or 'no parts'}), advantage {_figure(rolled.advantage, '+')}"


def _line(rolled: Rolled) -> bytes:
    trajectory = rolled.trajectory
    facts = {
        "id": rolled.sample.id,
        "group": rolled.group,
        "reward": _number(rolled.reward),
        "rewards": {name: _number(value) for name, value in rolled.rewards.items()},
        "advantage": _number(rolled.advantage),
        "calls": [call.model_dump() for call in trajectory.calls],
        "stop": trajectory.stop,
        "answer": trajectory.answer,
        "gold": rolled.sample.answer,
        "trajectory": trajectory.model_dump(),
    }
    # Half of a character, which a call's JSON can hold, is no text in UTF-8.
    return (json.dumps(_finite(facts), ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    """The same without NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> str:
    told = [number for value in values if (number := _number(value)) is not None]
    return f"{sum(told) / len(told):.3g}" if told else "none"


def _figure(value: float | None, sign: str = "") -> str:
    return "none" if (number := _number(value)) is None else f"{number:{sign}.3g}"
