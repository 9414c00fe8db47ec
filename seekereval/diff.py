"""diff: what two runs of a benchmark did differently, and which of their common items turned out differently.

Items are compared one by one, and the difference is tested in pairs, clustered by video. What was not in both runs is
counted and left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seekerdata.errors import SeekerError
from seekereval.item import Graded
from seekereval.results import Results, leaves, short

if TYPE_CHECKING:
    from seekereval.intervals import Paired

FLIPS_SHOWN, LONGEST_ANSWER = 20, 60
SAYS_NOTHING = {"started", "finished", "seconds", "out", "at", "made", "run"}
"""Facts of a manifest that differ between any two runs, by their last name."""


@dataclass(frozen=True)
class Flip:
    """One item that is worth more or less in the second run."""

    id: str
    gold: str
    first: Graded
    second: Graded

    @property
    def gained(self) -> bool:
        return self.second.score > self.first.score

    def facts(self) -> dict[str, Any]:
        told = {
            name: {"state": row.state, "answer": row.answer, "score": row.score}
            for name, row in (("first", self.first), ("second", self.second))
        }
        return {"id": self.id, "gold": self.gold, "gained": self.gained, **told}


@dataclass(frozen=True)
class Diff:
    """Two runs side by side. `settings` holds a manifest's fact under its dotted name, as each run has it."""

    first: Results
    second: Results
    settings: dict[str, tuple[str, str]]
    common: list[tuple[Graded, Graded]]
    flips: list[Flip]
    other_items: int
    """Common items whose question, options or right answer are not the same in both."""
    test: "Paired"
    """Second minus first, in percent."""

    def facts(self) -> dict[str, Any]:
        """What `--json` prints."""
        gained = sum(flip.gained for flip in self.flips)
        return {
            "first": str(self.first.path),
            "second": str(self.second.path),
            "settings": {key: {"first": a, "second": b} for key, (a, b) in self.settings.items()},
            "items": {
                "common": len(self.common),
                "only_first": len(self.first.graded) - len(self.common),
                "only_second": len(self.second.graded) - len(self.common),
                "differ_in_content": self.other_items,
                "gained": gained,
                "lost": len(self.flips) - gained,
            },
            "score": {"first": self.test.first, "second": self.test.second, "p": self.test.p},
            "difference": self.test.difference._asdict(),
            "flips": [flip.facts() for flip in self.flips],
        }


def compare(first: Results, second: Results) -> Diff:
    """Compare two runs over the items that both have.

    Raises:
        SeekerError: they have no item in common, or none whose right answer is known.
    """
    from seekereval.intervals import paired

    other = {row.item.id: row for row in second.graded}
    common = [(row, other[row.item.id]) for row in first.graded if row.item.id in other]
    if not common:
        raise SeekerError(f"{first.path} and {second.path} have no item in common; are they of the same benchmark?")
    if not any(row.item.is_scored for row, _ in common):
        raise SeekerError(f"{first.path}: its right answers are not published, so nothing can be compared here")
    flips = [Flip(a.item.id, a.item.answer, a, b) for a, b in common if a.score != b.score]
    before, after = ([100 * pair[n].score for pair in common] for n in (0, 1))
    test = paired(before, after, [a.item.cluster for a, _ in common])
    return Diff(first, second, settings(first, second), common, flips, sum(_differ(a, b) for a, b in common), test)


def drawn(found: Diff) -> list[Any]:
    """The comparison for a terminal, as rich draws it: what differs, the test, the first flips."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    test, names = found.test, (found.first.name, found.second.name)
    differs = Table("what differs", *names, box=box.SIMPLE)
    for key, (a, b) in found.settings.items():
        differs.add_row(Text(key), Text(short(a)), Text(short(b)))
    told = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found.facts()["items"].items())
    span = test.difference.ci95
    between = f" [{span[0]:+.1f}, {span[1]:+.1f}]" if span else ""
    chance = "unknown" if test.p is None else f"{test.p:.3g}"
    score = f"{test.first:.1f} and {test.second:.1f}: {test.difference.mean:+.1f}{between} points, p {chance}"
    paired = f"{score}, in pairs, by video ({test.difference.clusters})"
    flips = Table("item", "right", *names, box=box.SIMPLE)
    for flip in found.flips[:FLIPS_SHOWN]:
        answers = [row.answer or str(row.state) for row in (flip.first, flip.second)]
        flips.add_row(*(Text(short(text, LONGEST_ANSWER)) for text in (flip.id, flip.gold, *answers)))
    more = len(found.flips) - FLIPS_SHOWN
    return [
        differs if found.settings else Text("the two manifests say the same"),
        Text(f"{told}\n{paired}"),
        *([flips] if found.flips else []),
        *([Text(f"and {more} more; --json lists all")] if more > 0 else []),
    ]


def settings(first: Results, second: Results) -> dict[str, tuple[str, str]]:
    """The facts of two manifests that are not the same, but for those that never are; absent ones are empty."""
    a, b = leaves(first.manifest), leaves(second.manifest)
    keys = [key for key in dict.fromkeys([*a, *b]) if key.rpartition(".")[2] not in SAYS_NOTHING]
    return {key: (a.get(key, ""), b.get(key, "")) for key in keys if a.get(key) != b.get(key)}


def _differ(first: Graded, second: Graded) -> bool:
    """Whether the two runs asked another question under the same id, such as one with its options shuffled."""
    return _asked(first) != _asked(second)


def _asked(row: Graded) -> Sequence[Any]:
    return row.item.question, row.item.options, row.item.answer
