"""solve: play the tools on each question and keep what was answered right, in the paper's form, from what was seen."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from seekerdata.grade import grade, grade_by_rule, needs_judge
from seekerdata.load import Load, verdict_load
from seekerdata.models import ModelRole
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make, picked
from seekerdata.prompts import JUDGE
from seekerdata.role import roles
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.trace_check import trace_fault
from seekerdata.trajectory import Trajectory
from seekerdata.video import Video
from seekerdata.workspace import Workspace

__all__ = ["Solve"]

_COSTS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
"""Facts of a verdict that are summed."""


class Solve(Stage):
    """Makes a trajectory with a policy and the real tools. `expert` knows the truth and needs no model.

    With `expert`, a stated share of rows first makes a mistake and recovers (the mistake is kept out of the loss),
    and a stated share answers without any tool, drawn from the questions whose words are clear and whose answer
    the overview shows. A model is only asked to look; every rejected try is kept in words.
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
    tries: int = Field(default=1, ge=1)
    """Plays of one question at most, until one is kept; each of a model's has a seed of its own."""
    judge: ModelRole | None = None
    """Compares open answers that are not the gold answer's very words; without it the words decide."""
    max_tool_errors: int = Field(default=1, ge=0)
    """Refused tool calls that a kept play may hold."""

    version = 2

    @property
    def sees_all(self) -> bool:
        """Shares are drawn among plays, so only for a policy that knows several."""
        return len(self.by.plays) > 1

    def fingerprint(self) -> str:
        """A changed prompt is a changed judge."""
        own = super().fingerprint()
        return digest([own, JUDGE.hash]) if self.judge else own

    def assign(self, items: Iterable[Item], workspace: Workspace | None = None) -> dict[str, str]:
        """The play for each id: exact shares, drawn in the order of the ids' hashes."""
        drawn = sorted(
            (
                digest([self.seed, "play", item.sample.id]),
                item.sample.id,
                self.may_be_direct(item.sample),
            )
            for item in items
        )
        if self.by.playing("recovery") is self.by:  # it plays in one way only, so there is nothing to draw
            return {name: "look" for _, name, _ in drawn}
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
        played = {role.path: self.rollout.load(video_s).times(self.tries) for role in roles(self.by, "by")}
        return played | ({"judge": verdict_load(JUDGE.text).times(self.tries)} if self.judge else {})

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with the first play that may be kept, or dropped with what was wrong with every one.

        Raises:
            ItemError: the video cannot be shown, `model_failed`, `judge_failed`.
        """
        kind, asked = assigned or "look", item.sample
        if kind == "direct":
            asked = asked.model_copy(update={"question": asked.text_question, "visual_prompts": ()})
        prompts = [PromptFrame(workspace.picture(p.image), p.time_s) for p in asked.visual_prompts]
        video = workspace.video(asked.video.path)
        rejected: list[str] = []
        usage: Counter[str] = Counter()
        for attempt in range(self.tries):
            policy = self.by.playing(kind).trying(attempt)
            tried = asyncio.run(self._try(policy, asked, video, prompts))
            usage.update(tried.trajectory.usage)
            usage.update({name: count for name, count in (tried.judged or {}).items() if name in _COSTS})
            if tried.fault:
                rejected.append(tried.fault)
                continue
            facts: dict[str, Any] = {**named, **usage} if (named := policy.facts()) else {}
            facts |= {"judge": tried.judged} if tried.judged else {}
            if rejected:
                facts |= {"tries": attempt + 1, "rejected": rejected}
            noted = item.sample.noted("solve", **facts) if facts else item.sample.provenance
            sample = item.sample.model_copy(update={"provenance": noted})
            trajectory = tried.trajectory.model_copy(update={"kind": kind, "correct": True})
            return item.model_copy(update={"sample": sample, "trajectory": trajectory})
        return Drop(reason=" | ".join(rejected))

    async def _try(self, policy: Policy, asked: Sample, video: Video, prompts: list[PromptFrame]) -> "_Try":
        """One play, checked, and judged where only a judge can tell."""
        played = await rollout(policy, asked, video, prompts, self.rollout)
        wrong = f"{played.stop}: answered '{played.answer}', not '{asked.answer}'"
        judge = self.judge if needs_judge(played.answer, asked) else None
        if not judge and not grade_by_rule(played.answer, asked):
            return _Try(played, wrong)
        if fault := trace_fault(played, self.max_tool_errors):  # before a judge is paid
            return _Try(played, f"{fault}; answered '{played.answer}'")
        right, judged = await grade(played.answer, asked, judge)
        if judged and not right:
            return _Try(played, f"{wrong} (judged {judged['score']:g}: {judged['reason']})", judged)
        return _Try(played, "", judged)


class _Try(NamedTuple):
    """One play, why it is not kept, and what the judge said and cost (None if there was no need to ask)."""

    trajectory: Trajectory
    fault: str = ""
    judged: dict[str, Any] | None = None
