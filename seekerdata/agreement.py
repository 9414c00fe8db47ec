"""Agreement: how far two judges give the same answers the same scores. What one could not judge is counted apart."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from seekerdata.judge import SCORES


@dataclass(frozen=True)
class Agreement:
    """Counts of two judges' scores. Everything but the failures is about the answers that both judged."""

    counts: dict[tuple[float, float], int]
    """How often the first gave one score and the second another."""
    first_failed: int = 0
    second_failed: int = 0
    """Answers that a judge could not judge."""

    @property
    def answers(self) -> int:
        """Answers that both judged."""
        return sum(self.counts.values())

    @property
    def exact(self) -> float | None:
        """Share of equal scores; None without any answer judged by both."""
        same = sum(count for (first, second), count in self.counts.items() if first == second)
        return same / self.answers if self.answers else None

    def kappa(self, power: int = 0) -> float | None:
        """Cohen's kappa, disagreements weighted by |first - second|^power: 0 unweighted, 1 linear, 2 quadratic.

        None where it is not defined: no answers, or both judges always give one and the same score.
        """
        firsts, seconds = Counter[float](), Counter[float]()
        for (first, second), count in self.counts.items():
            firsts[first] += count
            seconds[second] += count

        def weight(first: float, second: float) -> float:
            return abs(first - second) ** power if first != second else 0.0

        found = sum(weight(*pair) * count for pair, count in self.counts.items())
        chance = sum(weight(a, b) * n * m for a, n in firsts.items() for b, m in seconds.items())
        return 1.0 - found * self.answers / chance if chance else None

    def facts(self) -> dict[str, Any]:
        """For a manifest: the table's keys are the first judge's score, then the second's; shares with four digits."""
        table = {f"{a:g}": {f"{b:g}": self.counts.get((a, b), 0) for b in SCORES} for a in SCORES}
        figures = {"exact": self.exact, "kappa": self.kappa(), "kappa_quadratic": self.kappa(2)}
        rounded = {name: None if value is None else round(value, 4) for name, value in figures.items()}
        failed = {"first_failed": self.first_failed, "second_failed": self.second_failed}
        return {"answers": self.answers, "table": table, **rounded, **failed}


def agreement(first: Sequence[float | None], second: Sequence[float | None]) -> Agreement:
    """Compare the scores that two judges gave to the same answers, in the same order; None: could not judge.

    Raises:
        ValueError: not equally many.
    """
    pairs: Iterable[tuple[float | None, float | None]] = list(zip(first, second, strict=True))
    counts = Counter((a, b) for a, b in pairs if a is not None and b is not None)
    return Agreement(dict(sorted(counts.items())), sum(a is None for a in first), sum(b is None for b in second))
