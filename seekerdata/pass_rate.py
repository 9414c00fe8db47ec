"""PassRate: how many of k tries a policy answers a question right, asked openly and played with the real tools.

A policy meets the question exactly as an `rl` row asks it: without options. Tries differ as `Policy.trying` says.
"""

import asyncio
from collections import Counter
from typing import NamedTuple

from seekerdata.observation import PromptFrame
from seekerdata.reward import accuracy_by_rule
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import Trajectory
from seekerdata.workspace import Workspace


class PassRate(NamedTuple):
    """The outcome of `k` tries: how many were right, how each ended, what they cost."""

    k: int
    passes: int
    stops: dict[str, int]
    """Tries by the reason they ended."""
    usage: dict[str, int]

    @property
    def rate(self) -> float:
        return self.passes / self.k


def measure(policy: Policy, sample: Sample, workspace: Workspace, settings: RolloutSettings, k: int) -> PassRate:
    """Play a question k times, all tries at once.

    Raises:
        ItemError: the video cannot be shown, or a model gives no reply: a try that did not happen is not a wrong one.
    """
    asked = sample.model_copy(update={"options": (), "answer": sample.answer_text})
    played = asyncio.run(_tries(policy, asked, workspace, settings, k))
    usage = Counter[str]()
    for trajectory in played:
        usage.update(trajectory.usage)
    stops = Counter(str(trajectory.stop) for trajectory in played)
    return PassRate(k, sum(is_right(trajectory.answer, asked) for trajectory in played), dict(stops), dict(usage))


def is_right(answer: str, asked: Sample) -> bool:
    """Whether an open answer is right. The one place for a judge: rules only know the gold answer's own words."""
    return accuracy_by_rule(answer, asked.answer) == 1.0


async def _tries(
    policy: Policy, asked: Sample, workspace: Workspace, settings: RolloutSettings, k: int
) -> list[Trajectory]:
    prompts = [PromptFrame(workspace.picture(p.image), p.time_s) for p in asked.visual_prompts]
    video = workspace.video(asked.video.path)
    return await asyncio.gather(*(rollout(policy.trying(n), asked, video, prompts, settings) for n in range(k)))
