"""solve: play the tools on each question and keep what was answered right."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from seekerdata.load import Load
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make, picked
from seekerdata.reward import accuracy_by_rule
from seekerdata.role import roles
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Solve"]


class Solve(Stage):
    """Makes a trajectory with a policy and the real tools. `expert` knows the truth and needs no model.

    With `expert`, a stated share of rows first makes a mistake and recovers (the mistake is kept out of the loss),
    and a stated share answers without any tool, drawn from the questions whose words are clear and whose answer
    the overview shows.
    """

    by: Annotated[Policy, picked("policies")] = Field(default_factory=lambda: make("policies", "expert"))
    rollout: RolloutSettings = RolloutSettings()
    recovery: float = Field(default=0.15, ge=0, le=1)
    """Share of rows that recover from a mistake."""
    direct: float = Field(default=0.1, ge=0, le=1)
    """Share of rows that need no tool, as far as there are such questions."""
    overview_enough: int = 3
    """Overview frames inside the window from which on it is taken to show the answer, if no event is known."""
    seed: int = 0

    sees_all = True

    def assign(self, items: Iterable[Item]) -> dict[str, str]:
        """The play for each id: exact shares, drawn in the order of the ids' hashes."""
        drawn = sorted(
            (
                digest([self.seed, "play", item.sample.id]),
                item.sample.id,
                self.may_be_direct(item.sample),
            )
            for item in items
        )
        direct = [name for _, name, may in drawn if may][: round(self.direct * len(drawn))]
        rest = [name for _, name, _ in drawn if name not in set(direct)]
        recovery = rest[: round(self.recovery * len(drawn))]
        plays = dict.fromkeys(rest, "look") | dict.fromkeys(recovery, "recovery")
        return plays | dict.fromkeys(direct, "direct")

    def may_be_direct(self, sample: Sample) -> bool:
        """Whether the question can be answered from the overview alone, asked in its own words."""
        target = sample.target
        if target.needs_mark or target.window_s is None:
            return False
        if target.event_s:  # the deciding moment is known, and whether the overview shows it
            return not target.needs_crop
        frames = (target.window_s[1] - target.window_s[0]) * self.rollout.overview_fps
        return frames >= self.overview_enough

    def loads(self, video_s: float | None) -> dict[str, Load]:
        return {role.path: self.rollout.load(video_s) for role in roles(self.by, "by")}

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        sample, kind = item.sample, assigned or "look"
        asked = sample
        if kind == "direct":
            asked = sample.model_copy(update={"question": sample.text_question, "visual_prompts": ()})
        prompts = [PromptFrame(workspace.picture(p.image), p.time_s) for p in asked.visual_prompts]
        video = workspace.video(sample.video.path)
        played = rollout(self.by.playing(kind), asked, video, prompts, self.rollout)
        trajectory = asyncio.run(played)
        correct = accuracy_by_rule(trajectory.answer, sample.answer, asked.options) == 1.0
        if not correct:
            return Drop(reason=f"{trajectory.stop}: answered '{trajectory.answer}', not '{sample.answer}'")
        trajectory = trajectory.model_copy(update={"kind": kind, "correct": correct})
        return item.model_copy(update={"trajectory": trajectory})
