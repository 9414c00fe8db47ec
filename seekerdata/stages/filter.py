"""filter: does the question, by its text alone, target one concrete visible thing? Annotations are never read."""

from typing import Any, Literal

from seekerdata.question_kind import unsuited
from seekerdata.question_rules import Category
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Filter"]


class Filter(Stage):
    """Drops questions that target no single visible thing: camera, scene, overall activity, counting, mood, light."""

    by: Literal["rules"] = "rules"
    """Who decides: `rules` for English questions, offline; in doubt they accept."""
    allow: tuple[Category, ...] = ()
    """Categories that are let through, e.g. `counting`."""

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with the verdict noted, or dropped as `<category>: asks about ... ('<words>')`."""
        sample = item.sample
        finding = unsuited(sample.question, self.allow)
        if finding:
            return Drop(reason=finding.reason)
        provenance = sample.noted("filter", by=self.by, verdict="accepted")
        return item.model_copy(update={"sample": sample.model_copy(update={"provenance": provenance})})
