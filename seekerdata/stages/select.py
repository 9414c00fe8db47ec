"""select: which rows train the cold start (sft) and which train by reward (rl)."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from seekerdata.duplicates import Asking, duplicates
from seekerdata.load import Load
from seekerdata.pass_rate import measure
from seekerdata.plugin import describe, make
from seekerdata.role import roles
from seekerdata.rollout import Policy, RolloutSettings
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Select"]

_NEEDS_OPTIONS = re.compile(
    r"\b(which|what) of (the|these)|\bthe following\b|\bwhich (option|statement)|\b(all|none|both) of\b|"
    r"\bbest (describes|answers)|\bmost likely\b",
    flags=re.IGNORECASE,
)


Group = Literal["dimension", "shape", "origin"]
Most = dict[Group, Annotated[int, Field(ge=0)]]


class Select(Stage):
    """Every right trajectory is an `sft` row; some of them, asked without options, are also `rl` rows.

    Which: an exact share (`by: share`), or those that a policy answers right sometimes, neither never nor always
    (`by: pass_at_k`). The paper's RL rows are open-ended, because multiple choice is guessed under reward (43.8
    against 74.5).
    """

    version = 2

    by: Literal["share", "pass_at_k"] = "share"
    rl_share: float = Field(default=0.12, ge=0, le=1)
    """Share of the sft rows that also become rl rows (the paper: 4.1k of 34.2k); of `by: share`."""
    policy: Annotated[Policy | None, BeforeValidator(lambda value: value and make("policies", value))] = None
    """Who tries the questions of `by: pass_at_k`, such as the student that will be trained."""
    k: int = Field(default=4, ge=1)
    """Tries for each question."""
    low: float = Field(default=0.25, ge=0, le=1)
    """Least share of right tries of an rl row. Any change of this stage's settings tries the questions again."""
    high: float = Field(default=0.75, ge=0, le=1)
    """Greatest share of right tries of an rl row."""
    rollout: RolloutSettings = RolloutSettings()
    """How the tries are played."""
    longest_answer_words: int = 12
    """A longer answer is not one that a rule or a judge can compare."""
    seed: int = 0
    drop_duplicates: bool = True
    """Of rows that ask the same thing of the same thing in one video (`seekerdata/duplicates.py`), keep one."""
    most_per: dict[Literal["sft", "rl"], Most] = Field(default_factory=dict)
    """Most rows of each dimension, shape or origin of the videos, e.g. `{sft: {dimension: 3000}, rl: {shape: 500}}`.
    Rows beyond are dropped (sft) or stay out of the set, and are not tried (rl)."""

    @property
    def sees_all(self) -> bool:
        return True

    @model_validator(mode="after")
    def _agreeing(self) -> "Select":
        if self.by == "pass_at_k" and not self.policy:
            raise ValueError("by: pass_at_k needs a policy, such as policy: {use: model, model: openai-api/local/qwen}")
        if self.by == "share" and self.policy:
            raise ValueError("a policy is named, but a share is drawn; say by: pass_at_k")
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}): no row could be between them")
        return self

    def assign(self, items: Iterable[Item]) -> dict[str, Drop | tuple[str, ...]]:
        """The sets of each id, or why it is dropped. Shares and quotas are drawn in the order of the ids' hashes.

        With `by: pass_at_k`, `rl` stands for being tried; `process` says how that went.
        """
        rows = [_Row(Asking.of(i.sample), _groups(i.sample), self.open_ended(i.sample)) for i in items]
        same = duplicates(row.asking for row in rows) if self.drop_duplicates else {}
        kept = [row for row in rows if row.asking.id not in same]
        sft, beyond = self._within(kept, "sft")
        wanted = round(self.rl_share * len(sft)) if self.by == "share" else len(sft)
        chosen = {row.asking.id for row in self._within([row for row in sft if row.open_ended], "rl")[0][:wanted]}
        sets = {row.asking.id: ("sft", "rl") if row.asking.id in chosen else ("sft",) for row in sft}
        reasons = beyond | {name: f"duplicate: of {other}" for name, other in same.items()}
        return {**sets, **{name: Drop(reason=reason) for name, reason in reasons.items()}}

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

    def open_ended(self, sample: Sample) -> bool:
        """Whether the question can be asked and judged without its options."""
        short = len(sample.answer_text.split()) <= self.longest_answer_words
        texts = (sample.question, sample.answer_text) if sample.options else ()
        return short and not any(_NEEDS_OPTIONS.search(text) for text in texts)

    def loads(self, video_s: float | None) -> dict[str, Load]:
        return {role.path: self.rollout.load(video_s).times(self.k) for role in roles(self.policy, "policy")}

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with its sets, or dropped as `duplicate: of <id>` or `quota: ...`."""
        if isinstance(assigned, Drop):
            return assigned
        sets = assigned or ("sft",)
        if self.policy is None or "rl" not in sets:
            return item.model_copy(update={"sets": sets})
        tried = measure(self.policy, item.sample, workspace, self.rollout, self.k)
        facts = {"policy": describe(self.policy, with_versions=True), "pass_rate": tried.rate, **tried._asdict()}
        sample = item.sample.model_copy(update={"provenance": item.sample.noted("select", by=self.by, **facts)})
        sets = sets if self.low <= tried.rate <= self.high else ("sft",)
        return item.model_copy(update={"sample": sample, "sets": sets})


class _Row(NamedTuple):
    """What the whole set must know of one item."""

    asking: Asking
    groups: dict[Group, str]
    open_ended: bool


def _groups(sample: Sample) -> dict[Group, str]:
    shape = sample.visual_prompts[0].shape if sample.visual_prompts else ""
    return {"dimension": sample.dimension, "shape": shape, "origin": sample.video.origin}
