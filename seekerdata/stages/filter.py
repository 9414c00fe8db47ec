"""filter: does the question, by its text alone, target one concrete visible thing? Annotations are never read."""

import asyncio
from typing import Any, Literal

from pydantic import model_validator

from seekerdata.load import Load, verdict_load
from seekerdata.models import ModelRole
from seekerdata.prompts import FILTER
from seekerdata.question_kind import unsuited
from seekerdata.question_rules import Category
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.verdict import FilterVerdict, decide
from seekerdata.workspace import Workspace

__all__ = ["Filter"]


class Filter(Stage):
    """Drops questions that target no single visible thing: camera, scene, overall activity, counting, mood, light."""

    by: Literal["rules", "model"] = "rules"
    """Who decides: `rules` for English questions, offline, in doubt they accept; or a text model, in any language."""
    model: ModelRole | None = None
    """The model of `by: model`."""
    allow: tuple[Category, ...] = ()
    """Categories that are let through, e.g. `counting`."""

    @model_validator(mode="after")
    def _agreeing(self) -> "Filter":
        if self.by == "model" and not self.model:
            raise ValueError("by: model needs a model, such as model: openai-api/local/qwen")
        if self.by == "rules" and self.model:
            raise ValueError("a model is named, but rules decide; say by: model")
        return self

    def fingerprint(self) -> str:
        """A changed prompt is a changed filter."""
        own = super().fingerprint()
        return digest([own, FILTER.hash]) if self.model else own

    def loads(self, video_s: float | None) -> dict[str, Load]:
        return {"model": verdict_load(FILTER.text)} if self.model else {}

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with the verdict noted, or dropped as `<category>: <why>`."""
        sample = item.sample
        decided = self._by_model(sample, self.model) if self.model else self._by_rules(sample)
        if isinstance(decided, Drop):
            return decided
        provenance = sample.noted("filter", by=self.by, verdict="accepted", **decided)
        return item.model_copy(update={"sample": sample.model_copy(update={"provenance": provenance})})

    def _by_rules(self, sample: Sample) -> Drop | dict[str, Any]:
        finding = unsuited(sample.question, self.allow)
        return Drop(reason=finding.reason) if finding else {}

    def _by_model(self, sample: Sample, model: ModelRole) -> Drop | dict[str, Any]:
        """Asked by question and options alone; the answer is not shown."""
        asked = FILTER.item(question=sample.question, options=sample.options)
        decision = asyncio.run(decide(model, FILTER, asked, FilterVerdict))
        verdict = decision.verdict
        why = " ".join(verdict.reason.split())
        if not verdict.is_valid and verdict.category not in self.allow:
            return Drop(reason=f"{verdict.category}: {why}")
        return {"category": verdict.category, "reason": why, **decision.facts}
