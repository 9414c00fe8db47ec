"""select: which rows train the cold start (sft) and which train by reward (rl)."""

import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from seekerdata.duplicates import Asking, duplicates
from seekerdata.sample import Sample, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Select"]

_NEEDS_OPTIONS = re.compile(
    r"\b(which|what) of (the|these)|\bthe following\b|\bwhich (option|statement)|\b(all|none|both) of\b|"
    r"\bbest (describes|answers)|\bmost likely\b",
    flags=re.IGNORECASE,
)


class Select(Stage):
    """Every right trajectory is an `sft` row; a share of them, asked without options, is also an `rl` row.

    The paper's RL rows are open-ended, because multiple choice is guessed under reward (43.8 against 74.5).
    """

    by: Literal["share"] = "share"
    rl_share: float = Field(default=0.12, ge=0, le=1)
    """Share of the sft rows that also become rl rows (the paper: 4.1k of 34.2k)."""
    longest_answer_words: int = 12
    """A longer answer is not one that a rule or a judge can compare."""
    seed: int = 0

    drop_duplicates: bool = True
    """Of rows that ask the same thing of the same thing in one video (`seekerdata/duplicates.py`), keep one."""

    sees_all = True

    def assign(self, items: Iterable[Item]) -> dict[str, Drop | tuple[str, ...]]:
        """The sets of each id, or why it is dropped. Shares are exact, drawn in the order of the ids' hashes."""
        askings, fit = [], set()
        for item in items:
            askings.append(Asking.of(item.sample))
            if self.open_ended(item.sample):
                fit.add(item.sample.id)
        same = duplicates(askings) if self.drop_duplicates else {}
        kept = [asking.id for asking in askings if asking.id not in same]
        drawn = sorted((digest([self.seed, "rl", name]), name) for name in kept if name in fit)
        chosen = {name for _, name in drawn[: round(self.rl_share * len(kept))]}
        sets: dict[str, Drop | tuple[str, ...]] = {name: ("sft", "rl") if name in chosen else ("sft",) for name in kept}
        return sets | {name: Drop(reason=f"duplicate: of {other}") for name, other in same.items()}

    def open_ended(self, sample: Sample) -> bool:
        """Whether the question can be asked and judged without its options."""
        short = len(sample.answer_text.split()) <= self.longest_answer_words
        texts = (sample.question, sample.answer_text) if sample.options else ()
        return short and not any(_NEEDS_OPTIONS.search(text) for text in texts)

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with its sets, or dropped as `duplicate: of <id>`."""
        if isinstance(assigned, Drop):
            return assigned
        return item.model_copy(update={"sets": assigned or ("sft",)})
