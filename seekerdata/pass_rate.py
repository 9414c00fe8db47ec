"""PassRate: how many of k tries a policy answers a question right, played with the real tools.

Asked as it will be trained: an `rl` row openly. Tries differ as `Policy.trying` says, plays as their `Control` says.
"""

import asyncio
from collections import Counter
from typing import Any, NamedTuple

from seekerdata.control import WHOLE, Control
from seekerdata.grade import grade
from seekerdata.models import ModelSettings
from seekerdata.observation import PromptFrame
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import Trajectory
from seekerdata.workspace import Workspace

_SCORED = ("score", "reason", "repaired")
"""Facts of one verdict; the others are the same for all, or are summed."""


class PassRate(NamedTuple):
    """The outcome of `k` tries: how many were right, how each ended, what they cost."""

    k: int
    passes: int
    stops: dict[str, int]
    """Tries by the reason they ended."""
    usage: dict[str, int]
    judge: dict[str, Any]
    """Who judged the answers that words could not, and what it took; empty if nobody had to."""

    @property
    def rate(self) -> float:
        return self.passes / self.k

    def facts(self) -> dict[str, Any]:
        """For provenance."""
        facts = {"pass_rate": self.rate, **self._asdict()}
        return facts if self.judge else {name: value for name, value in facts.items() if name != "judge"}


class Trying(NamedTuple):
    """Who tries, how, and who judges."""

    policy: Policy
    settings: RolloutSettings
    k: int
    judge: ModelSettings | None = None


def measure(trying: Trying, asked: Sample, workspace: Workspace, control: Control = WHOLE) -> PassRate:
    """Play a question k times, all tries at once.

    Raises:
        ItemError: the video cannot be shown, a model gives no reply, or the judge fails: a try that did not happen or
            was not judged is not a wrong one.
    """
    return asyncio.run(_measure(trying, asked, workspace, control))


async def _measure(trying: Trying, asked: Sample, workspace: Workspace, control: Control) -> PassRate:
    played = await _tries(trying, asked, workspace, control)
    grades = await asyncio.gather(*(grade(t.answer, asked, trying.judge) for t in played))
    usage, judged = Counter[str](), Counter[str]()
    who: dict[str, Any] = {}
    for trajectory in played:
        usage.update(trajectory.usage)
    for verdict in (g.judged for g in grades if g.judged):
        facts = {name: value for name, value in verdict.items() if name not in _SCORED}
        judged.update({name: value for name, value in facts.items() if isinstance(value, int)})
        who |= {name: value for name, value in facts.items() if not isinstance(value, int)}
    stops = Counter(str(trajectory.stop) for trajectory in played)
    return PassRate(trying.k, sum(g.right for g in grades), dict(stops), dict(usage), who | dict(judged))


async def _tries(trying: Trying, asked: Sample, workspace: Workspace, control: Control) -> list[Trajectory]:
    pictures = [(p.image if control.marked else p.raw_image, p.time_s) for p in asked.visual_prompts]
    prompts = [PromptFrame(workspace.picture(image), time_s) for image, time_s in pictures]
    video = workspace.video(asked.video.path)
    plays = (
        rollout(trying.policy.trying(n), asked, video, prompts, trying.settings, control=control)
        for n in range(trying.k)
    )
    return await asyncio.gather(*plays)
