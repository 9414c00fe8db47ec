"""Making: what one model made in one row of a dataset: which columns, asked by which words, when, for how much.

Read off a sample's provenance, where every stage notes what its models took. Only `time` is not decided by recipe,
inputs and replies: it is the ledger's, and a run that is continued keeps it. A row that no model touched has none.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from seekerdata.budget import Price, cost_of
from seekerdata.control import CONTROLS
from seekerdata.usage import Usage

COLUMNS: dict[str, tuple[str, ...]] = {
    "verify": ("tag", "window_s", "question", "options"),
    "render": ("question", "options"),
    "solve": ("messages",),
    "select": ("pass_rate", "pass_k"),
    "select.open_question": ("prompt",),
    **{f"select.removal.tests.{name}": (f"right_{name}",) for name in CONTROLS},
}
"""Columns that hold what a step made. A step that stands nowhere here decided whether the row stays."""

Clock = Callable[[str], str | None]
"""When a stage's row of the item was made."""


class Making(NamedTuple):
    """One model's part in one row; the last four are None where nobody knows."""

    step: str
    """The stage, and behind a dot the part of it: `verify`, `solve`, `solve.judge`."""
    columns: list[str]
    model: str
    prompt: str
    """Hash of the words it was asked by."""
    time: str | None
    """UTC, when the row was written to the ledger."""
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    """Dollars by the recipe's prices."""


def makings(
    provenance: Mapping[str, Any], columns: set[str], clock: Clock, prices: Mapping[str, Price]
) -> list[dict[str, Any]]:
    """All that models made in a row, in the order of the stages.

    Args:
        provenance: of the row's sample.
        columns: those that the row has; others are not named.
        clock: when each stage's row was made.
        prices: by model.
    """
    found = []
    for step, facts in _asked(provenance, ""):
        usage = Usage(facts["model"], *(facts.get(name, 0) for name in Usage._fields[1:]))
        making = Making(
            step=step,
            columns=[name for name in COLUMNS.get(step, ()) if name in columns],
            prompt=facts.get("prompt", ""),
            time=clock(step.partition(".")[0]),
            cost=cost_of(usage, prices),
            **usage._asdict(),
        )
        found.append(making._asdict())
    return found


def _asked(facts: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every step whose facts say which model was called how often, by its place."""
    if isinstance(facts.get("model"), str) and isinstance(facts.get("calls"), int):
        yield path.removesuffix(".usage"), facts
    for name, inner in facts.items():
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                yield from _asked(each, f"{path}.{name}".lstrip("."))
