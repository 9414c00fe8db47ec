"""solve: play the tools on each question and keep what was answered right, in the paper's form, from what was seen."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from seekerdata.agreement import agreement
from seekerdata.errors import ItemError
from seekerdata.grade import grade, grade_by_rule, needs_judge
from seekerdata.instructions import play_hash
from seekerdata.ledger import Row
from seekerdata.load import Load, play_load, verdict_load
from seekerdata.models import ModelRole, ModelSettings
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make, picked
from seekerdata.prompts import JUDGE, THOUGHTS
from seekerdata.role import roles
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.run_log import log
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage, Status
from seekerdata.thought_check import check_thoughts
from seekerdata.trace_check import recovered, trace_fault
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
    second_judge: ModelRole | None = None
    """Scores every answer that `judge` has scored, to tell how far they agree. It decides nothing."""
    check_thoughts: ModelRole | None = None
    """Names thoughts that state what was not yet shown; a play that holds one is rejected."""
    max_tool_errors: int = Field(default=1, ge=0)
    """Refused tool calls that a kept play may hold. Their turns stay in it, out of the loss; if a call that was carried
    out followed, the play is a `recovery`. 0: none is kept."""

    version = 3

    @property
    def sees_all(self) -> bool:
        """Shares are drawn among plays, so only for a policy that knows several."""
        return len(self.by.plays) > 1

    @model_validator(mode="after")
    def _meaning_something(self) -> "Solve":
        if self.second_judge and not self.judge:
            raise ValueError("second_judge needs a judge to be compared with")
        return self

    def fingerprint(self) -> str:
        """A changed prompt is a changed judge, and a changed play where a model plays."""
        words = [JUDGE.hash] * bool(self.judge) + [play_hash(self.rollout.mode)] * bool(self.by.facts())
        own = super().fingerprint()
        words += [THOUGHTS.hash] * bool(self.check_thoughts)
        return digest([own, *words]) if words else own

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
        verdicts = {role: verdict_load(JUDGE.text).times(self.tries) for role in ("judge", "second_judge")}
        verdicts["check_thoughts"] = play_load(THOUGHTS.text).times(self.tries)
        return played | {role: load for role, load in verdicts.items() if getattr(self, role)}

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
        rejected, others = list[str](), _Others()
        usage: Counter[str] = Counter()
        for attempt in range(self.tries):
            policy = self.by.playing(kind).trying(attempt)
            tried = asyncio.run(self._try(policy, asked, video, prompts))
            usage.update(tried.trajectory.usage)
            others.add(tried.said)
            if tried.fault:
                rejected.append(tried.fault)
                continue
            named = policy.facts()
            noted = {**named, "prompt": play_hash(self.rollout.mode), **usage} if named else {}
            noted |= others.facts(tried.said)
            if rejected:
                noted |= {"tries": attempt + 1, "rejected": rejected}
            return self._kept(item, tried.trajectory, kind, noted)
        return Drop(reason=" | ".join(rejected), facts=others.second)

    def _kept(self, item: Item, trajectory: Trajectory, kind: str, facts: dict[str, Any]) -> Item:
        """The item with a play that may be kept, and what there is to say about how it came about."""
        provenance = item.sample.noted("solve", **facts) if facts else item.sample.provenance
        sample = item.sample.model_copy(update={"provenance": provenance})
        trajectory = recovered(trajectory.model_copy(update={"kind": kind, "correct": True}))
        return item.model_copy(update={"sample": sample, "trajectory": trajectory})

    async def _try(self, policy: Policy, asked: Sample, video: Video, prompts: list[PromptFrame]) -> "_Try":
        """One play, checked, and judged where only a judge can tell."""
        played = await rollout(policy, asked, video, prompts, self.rollout)
        wrong = f"{played.stop}: answered '{played.answer}', not '{asked.answer}'"
        judge = self.judge if needs_judge(played.answer, asked) else None
        if not judge and not grade_by_rule(played.answer, asked):
            return _Try(played, wrong, {})
        if fault := trace_fault(played, self.max_tool_errors):  # before a judge is paid
            return _Try(played, f"{fault}; answered '{played.answer}'", {})
        said: dict[str, dict[str, Any]] = {}
        if judge:
            said = await self._judged(judge, asked, played.answer)
            score, reason = said["judge"]["score"], said["judge"]["reason"]
            if score != 1.0:
                return _Try(played, f"{wrong} (judged {score:g}: {reason})", said)
        if self.check_thoughts:  # last: it is the longest to read
            decision = await check_thoughts(self.check_thoughts, played)
            reason = " ".join(decision.verdict.reason.split())
            said["thoughts"] = {"reason": reason, **decision.facts}
            if early := sorted(set(decision.verdict.early)):
                where = ", ".join(map(str, early))
                return _Try(played, f"early_thought: turn {where}: {reason}; answered '{played.answer}'", said)
        return _Try(played, "", said)

    async def _judged(self, judge: ModelSettings, asked: Sample, answer: str) -> dict[str, dict[str, Any]]:
        """What the judge says of an answer, and the second judge, whose failure is noted and fails nothing."""
        said: dict[str, dict[str, Any]] = {"judge": (await grade(answer, asked, judge)).judged or {}}
        if self.second_judge:
            entry: dict[str, Any] = {"answer": answer, "first": said["judge"]["score"]}
            try:
                said["second_judge"] = entry | ((await grade(answer, asked, self.second_judge)).judged or {})
            except ItemError as error:
                said["second_judge"] = {**entry, "score": None, "error": f"{error.code}: {error.message}"}
                log(f"second_judge: {error.code}: {error.message}")
        return said

    def summary(self, rows: Iterable[Row]) -> dict[str, Any]:
        """How far the two judges agree, if there are two; an answer that the first could not judge failed its item."""
        if not (self.judge and self.second_judge):
            return {}
        scored, unjudged = list[dict[str, Any]](), 0
        for row in rows:
            if row.status is Status.FAILED:
                unjudged += row.reason.startswith("judge_failed: ") and "check_thoughts: " not in row.reason
            elif row.output:
                output = json.loads(row.output)
                kept = row.status is Status.KEPT
                facts = output["sample"]["provenance"].get("solve", {}) if kept else output
                scored += facts.get("second_judge", [])
        found = agreement([entry["first"] for entry in scored], [entry["score"] for entry in scored])
        facts = replace(found, first_failed=unjudged).facts()
        return {"agreement": {"first": self.judge.model, "second": self.second_judge.model, **facts}}


class _Others:
    """What models said of all plays of a question, and what each took, by its role."""

    def __init__(self) -> None:
        self._scored: list[dict[str, Any]] = []
        self._took: dict[str, dict[str, Any]] = {}

    @property
    def second(self) -> dict[str, Any]:
        """Every score of the second judge."""
        return {"second_judge": self._scored} if self._scored else {}

    def add(self, said: dict[str, dict[str, Any]]) -> None:
        """What was said of one more play."""
        for role, facts in said.items():
            if role == "second_judge":
                self._scored.append(facts)
                continue
            took = self._took.setdefault(role, {"model": facts["model"], "prompt": facts["prompt"]})
            took |= {name: took.get(name, 0) + facts[name] for name in _COSTS if name in facts}

    def facts(self, last: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """For provenance: what was said of the last play, and what all plays took."""
        return {role: {**last.get(role, {}), **took} for role, took in self._took.items()} | self.second


class _Try(NamedTuple):
    """One play, why it is not kept, and what models said of it and took, by role (only those that were asked)."""

    trajectory: Trajectory
    fault: str
    said: dict[str, dict[str, Any]]
