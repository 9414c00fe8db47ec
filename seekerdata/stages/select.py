"""select: which rows train the cold start (sft) and which train by reward (rl)."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from seekerdata.control import CONTROLS, ControlName
from seekerdata.duplicates import Asking, duplicates
from seekerdata.errors import ItemError
from seekerdata.load import Load, verdict_load
from seekerdata.models import ModelRole
from seekerdata.open_question import asked_openly, open_by, reads_openly, stands_alone
from seekerdata.overlap import Overlap, overlaps, read_benchmarks
from seekerdata.pass_rate import Trying, measure
from seekerdata.plugin import describe, make
from seekerdata.prompts import JUDGE, OPEN
from seekerdata.role import roles
from seekerdata.rollout import Policy, RolloutSettings
from seekerdata.sample import Sample, VideoRef, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Select"]

Group = Literal["dimension", "shape", "origin"]
Most = dict[Group, Annotated[int, Field(ge=0)]]
Share = Annotated[float, Field(gt=0, le=1)]
Named = Annotated[Policy | None, BeforeValidator(lambda value: value and make("policies", value))]

_TRIED = ("by", "policy", "k", "rollout", "judge", "open_ended", "removal_tests", "removal_policy", "removal_k")
"""Settings that decide what is asked; all others only decide what becomes of it."""


class Select(Stage):
    """Every right trajectory is an `sft` row; some of them, asked without options, are also `rl` rows.

    Which: an exact share (`by: share`), or those that a policy answers right sometimes, neither never nor always
    (`by: pass_at_k`). The paper's RL rows are open-ended, because multiple choice is guessed under reward (43.8
    against 74.5). Tries, rewriting and removal tests stay in the ledger when only thresholds and quotas change.
    """

    version = 3

    by: Literal["share", "pass_at_k"] = "share"
    rl_share: float = Field(default=0.12, ge=0, le=1)
    """Share of the sft rows that also become rl rows (the paper: 4.1k of 34.2k); of `by: share`."""
    policy: Named = None
    """Who tries the questions of `by: pass_at_k`, such as the student that will be trained."""
    k: int = Field(default=4, ge=1)
    """Tries for each question."""
    low: float = Field(default=0.25, ge=0, le=1)
    """Least share of right tries of an rl row."""
    high: float = Field(default=0.75, ge=0, le=1)
    """Greatest share of right tries of an rl row."""
    rollout: RolloutSettings = RolloutSettings()
    """How the tries are played."""
    judge: ModelRole | None = None
    """Compares open answers of tries that are not the gold answer's very words; without it the words decide."""
    open_ended: ModelRole | None = None
    """Rewrites questions that do not read without their options; without it such questions are no rl rows."""
    longest_answer_words: int = 12
    """A longer answer is not one that a rule or a judge can compare."""
    removal_tests: tuple[ControlName, ...] = ()
    """What is taken away to see whether the question is answered all the same: `no_mark` (the raw frame instead of the
    marked one), `no_crops`, `text_only` (no frame), `one_frame` (the marked frame alone, no tools)."""
    removal_policy: Named = None
    """Who is asked then; `policy` if nobody is named."""
    removal_k: int = Field(default=1, ge=1)
    """Tries for each removal test."""
    drop_if_right: dict[ControlName, Share] = Field(default_factory=dict)
    """Rows answered right in at least this share of the tries of a removal test are dropped: `{text_only: 1.0}`."""
    benchmarks: tuple[Path, ...] = ()
    """Folders of a benchmark's videos, or lists of their names: what our videos share with them is noted."""
    overlap: Literal["report", "drop"] = "report"
    """Whether rows about a video of a benchmark stay."""
    seed: int = 0
    drop_duplicates: bool = True
    """Of rows that ask the same thing of the same thing in one video (`seekerdata/duplicates.py`), keep one."""
    most_per: dict[Literal["sft", "rl"], Most] = Field(default_factory=dict)
    """Most rows of each dimension, shape or origin of the videos, e.g. `{sft: {dimension: 3000}, rl: {shape: 500}}`.
    Rows beyond are dropped (sft) or stay out of the set, and are not tried (rl)."""

    @property
    def sees_all(self) -> bool:
        return True

    @property
    def decides(self) -> bool:
        """Where nobody is asked there is nothing to keep apart."""
        return bool(self.policy or self.removal_tests or self.open_ended)

    @model_validator(mode="after")
    def _agreeing(self) -> "Select":
        if self.by == "pass_at_k" and not self.policy:
            raise ValueError("by: pass_at_k needs a policy, such as policy: {use: model, model: openai-api/local/qwen}")
        if self.by == "share" and self.policy and not self.removal_tests:
            raise ValueError("a policy is named, but a share is drawn; say by: pass_at_k")
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}): no row could be between them")
        if self.removal_tests and not (self.removal_policy or self.policy):
            raise ValueError("removal_tests need a policy or a removal_policy")
        if untested := sorted(set(self.drop_if_right) - set(self.removal_tests)):
            raise ValueError(f"drop_if_right: {untested[0]} is not among removal_tests")
        if self.removal_policy and not self.removal_tests:
            raise ValueError("a removal_policy is named, but no removal_tests")
        if self.judge and not (self.policy or self.removal_policy):
            raise ValueError("a judge is named, but nobody tries; name a policy")
        if self.overlap == "drop" and not self.benchmarks:
            raise ValueError("overlap: drop needs benchmarks")
        return self

    def fingerprint(self) -> str:
        """Of what is asked; a changed prompt is another question."""
        decisive = frozenset(type(self).model_fields) - set(_TRIED)
        prompts = [JUDGE.hash] * bool(self.judge) + [OPEN.hash] * bool(self.open_ended)
        return digest([self.fingerprint_without(decisive), *prompts])

    def loads(self, video_s: float | None) -> dict[str, Load]:
        tests = [self.rollout.load(video_s, CONTROLS[name]).times(self.removal_k) for name in self.removal_tests]
        whole = [self.rollout.load(video_s).times(self.k)] if self.by == "pass_at_k" else []
        found = {role.path: _sum(tests) for role in roles(self.removal_policy, "removal_policy")}
        mine = whole if self.removal_policy else whole + tests
        found |= {role.path: _sum(mine) for role in roles(self.policy, "policy")}
        answers = self.k * len(whole) + self.removal_k * len(tests)
        found |= {"judge": verdict_load(JUDGE.text).times(answers)} if self.judge else {}
        return found | ({"open_ended": verdict_load(OPEN.text)} if self.open_ended else {})

    def assign(self, items: Iterable[Item], workspace: Workspace | None = None) -> dict[str, "Drop | Draw"]:
        """The sets of each id, or why it is dropped. Shares and quotas are drawn in the order of the ids' hashes.

        With `by: pass_at_k`, `rl` stands for being tried; `decide` says how that went.
        """
        rows = [_Row(Asking.of(i.sample), _groups(i.sample), self.may_open(i.sample), i.sample.video) for i in items]
        shared = self._shared(rows, workspace)
        same = duplicates(row.asking for row in rows) if self.drop_duplicates else {}
        reasons = {name: f"duplicate: of {other}" for name, other in same.items()}
        if self.overlap == "drop":
            reasons |= {
                name: f"overlap with {hit.benchmark} by {hit.by}: {hit.video}" for name, (hit, *_) in shared.items()
            }
        sft, beyond = self._within([row for row in rows if row.asking.id not in reasons], "sft")
        wanted = round(self.rl_share * len(sft)) if self.by == "share" else len(sft)
        chosen = {row.asking.id for row in self._within([row for row in sft if row.open_ended], "rl")[0][:wanted]}
        ids = [row.asking.id for row in sft]
        drawn = {name: Draw(("sft", "rl") if name in chosen else ("sft",), tuple(shared.get(name, ()))) for name in ids}
        return {**drawn, **{name: Drop(reason=reason) for name, reason in (reasons | beyond).items()}}

    def _shared(self, rows: list["_Row"], workspace: Workspace | None) -> dict[str, list[Overlap]]:
        """What each row's video shares with benchmarks."""
        if not self.benchmarks:
            return {}
        assert workspace is not None, "videos are read"
        found = overlaps(read_benchmarks(self.benchmarks, workspace), [row.video for row in rows], workspace)
        return {row.asking.id: found[row.video.sha256] for row in rows if row.video.sha256 in found}

    def _within(self, rows: list["_Row"], name: Literal["sft", "rl"]) -> tuple[list["_Row"], dict[str, str]]:
        """The rows inside a set's quotas, in the order they are drawn, and why each of the others is not."""
        most = self.most_per.get(name, {})
        counts, inside, beyond = Counter[tuple[str, str]](), list[_Row](), {}
        for row in sorted(rows, key=lambda row: (digest([self.seed, name, row.asking.id]), row.asking.id)):
            full = [group for group, limit in most.items() if counts[group, row.groups[group]] >= limit]
            if full:
                beyond[row.asking.id] = f"quota: {most[full[0]]} rows of {full[0]} '{row.groups[full[0]]}' are enough"
            else:
                inside.append(row)
                counts.update((group, row.groups[group]) for group in most)
        return inside, beyond

    def may_open(self, sample: Sample) -> bool:
        """Whether the question can be asked and judged without its options, perhaps in other words."""
        short = len(sample.answer_text.split()) <= self.longest_answer_words
        return short and stands_alone(sample) and bool(self.open_ended or reads_openly(sample))

    def tasks(self, assigned: Any) -> Sequence[Any]:
        """`rl` is tried and tested, `sft` is tested, a row that is dropped asks nothing; who found out more will do."""
        if not self.decides:
            return [assigned]
        order = ("", "sft", "rl")
        return order[0 if isinstance(assigned, Drop) else order.index(assigned.sets[-1]) :]

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with what tries, rewriting and removal tests say; where nobody is asked, what becomes of it.

        Raises:
            ItemError: the video cannot be shown, `model_failed`, `judge_failed`.
        """
        if not self.decides:
            return self.decide(item, assigned)
        facts: dict[str, Any] = {}
        if assigned == "rl":
            question, written = self._opened(item.sample)
            facts |= {"open_question": written} if written else {}
            facts |= self._tried(asked_openly(item.sample, question), workspace) if question else {}
        if assigned and self.removal_tests:
            facts["removal"] = self._tested(item.sample, workspace)
        return _noted(item, {"by": self.by, **facts} if facts else {})

    def _opened(self, sample: Sample) -> tuple[str, dict[str, Any]]:
        """The question without options (empty if there is none: the row stays in sft), and what a model said of it."""
        if reads_openly(sample):
            return sample.question, {}
        assert self.open_ended is not None, "only such rows are drawn"
        try:
            decision = asyncio.run(open_by(self.open_ended, sample))
        except ItemError as error:
            if error.retryable:
                raise
            return "", {"question": "", "model": self.open_ended.model, "fault": f"{error.code}: {error.message}"}
        question = decision.verdict.question.strip()
        return question, {"question": question, "reason": decision.verdict.reason, **decision.facts}

    def _tried(self, asked: Sample, workspace: Workspace) -> dict[str, Any]:
        if self.by == "share" or not self.policy:
            return {}
        tried = measure(Trying(self.policy, self.rollout, self.k, self.judge), asked, workspace)
        return {"policy": describe(self.policy, with_versions=True), **tried.facts()}

    def _tested(self, sample: Sample, workspace: Workspace) -> dict[str, Any]:
        """Every removal test; the question is asked with its options if it does not read without."""
        policy = self.removal_policy or self.policy
        assert policy is not None, "the recipe was checked"
        trying = Trying(policy, self.rollout, self.removal_k, self.judge)
        asked = asked_openly(sample) if reads_openly(sample) and stands_alone(sample) else sample
        tests = {name: measure(trying, asked, workspace, CONTROLS[name]).facts() for name in self.removal_tests}
        form = "choice" if asked.options else "open"
        return {"policy": describe(policy, with_versions=True), "asked": form, "tests": tests}

    def decide(self, item: Item, assigned: Any = None) -> Item | Drop:
        """The item with its sets, or dropped as `duplicate`, `quota`, `overlap with ...` or `right_text_only`."""
        if isinstance(assigned, Drop):
            return assigned
        sets, shared = assigned or Draw()
        facts = item.sample.provenance.get("select", {})
        if "rl" not in sets:  # it may have been tried before a quota changed
            facts = {name: facts[name] for name in ("by", "removal") if "removal" in facts}
        for name, test in facts.get("removal", {}).get("tests", {}).items():
            if test["pass_rate"] >= self.drop_if_right.get(name, 2.0):
                return Drop(reason=f"right_{name}: in {test['passes']} of {test['k']} tries")
        closed = facts.get("open_question", {}).get("question") == ""
        rate = facts.get("pass_rate")
        if closed or (rate is not None and not self.low <= rate <= self.high):
            sets = ("sft",)
        seen = {"by": self.by, "overlap": [hit._asdict() for hit in shared]} if shared else {}
        return _noted(item, facts | seen).model_copy(update={"sets": sets})


class Draw(NamedTuple):
    """What the whole set decides for a row that is not dropped."""

    sets: tuple[str, ...] = ("sft",)
    overlap: tuple[Overlap, ...] = ()


class _Row(NamedTuple):
    """What the whole set must know of one item."""

    asking: Asking
    groups: dict[Group, str]
    open_ended: bool
    video: VideoRef


def _groups(sample: Sample) -> dict[Group, str]:
    shape = sample.visual_prompts[0].shape if sample.visual_prompts else ""
    return {"dimension": sample.dimension, "shape": shape, "origin": sample.video.origin}


def _noted(item: Item, facts: dict[str, Any]) -> Item:
    """The item with these facts of this stage, and no others."""
    other = {stage: noted for stage, noted in item.sample.provenance.items() if stage != "select"}
    provenance = {**other, "select": facts} if facts else other
    return item.model_copy(update={"sample": item.sample.model_copy(update={"provenance": provenance})})


def _sum(loads: list[Load]) -> Load:
    total = Load()
    for load in loads:
        total = total.plus(load)
    return total
