"""Price, Budget, Purse: what models cost, what a run may spend, what it has spent. An unknown price is never assumed.

A purse counts every call that the run's ledger knows of, of earlier commands too. Calls of an item that was under way
when a run was killed are in no ledger and not counted. Work already handed out is finished and kept, so a budget is
passed by at most the items under way: one, or four for each of several processes.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.usage import Usage, add


def dollars(cost: float) -> str:
    """An amount as people write it, small ones not rounded away."""
    return f"${cost:,.2f}" if cost >= 0.1 or not cost else f"${cost:.4f}"


class Price(BaseModel):
    """Dollars for a million tokens. Cached input is taken at the full price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Budget(BaseModel):
    """What the models of a run may take in all; the run stops before the next item once a limit is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_calls: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)
    """Input and output together."""
    max_cost: float | None = Field(default=None, ge=0)
    """Dollars, by the recipe's `prices`."""


class Purse:
    """Counts a run's spending against its budget, and expects of every item under way what those before it took."""

    def __init__(self, budget: Budget, prices: Mapping[str, Price], spent: Iterable[Usage] = ()) -> None:
        self._budget, self._prices = budget, prices
        self._spent: dict[str, Usage] = {}
        self.take(spent)
        self.begin()

    def begin(self) -> None:
        """A stage begins: what its items take is not yet known."""
        self._under_way = self._done = 0
        self._before = self._figures

    def hand_out(self) -> None:
        """An item is under way."""
        self._under_way += 1

    def come_back(self, usages: Iterable[Usage]) -> None:
        """An item is done, and took this."""
        self._under_way -= 1
        self._done += 1
        self.take(usages)

    def take(self, usages: Iterable[Usage]) -> None:
        for usage in usages:
            add(self._spent, usage)

    @property
    def empty(self) -> str:
        """Which limit is reached; empty text while there is something left."""
        calls, tokens, cost = (self._figures[name] for name in Budget.model_fields)
        words = {
            "max_calls": f"{calls:,} calls of max_calls {self._budget.max_calls}",
            "max_tokens": f"{tokens:,} tokens of max_tokens {self._budget.max_tokens}",
            "max_cost": f"{dollars(cost)} of max_cost {dollars(self._budget.max_cost or 0)}",
        }
        return next((words[name] for name, limit in self._limits if self._figures[name] >= limit), "")

    @property
    def must_wait(self) -> bool:
        """Whether what is under way may empty the purse, so that nothing more is handed out before it comes back. The
        first item of a stage goes alone: nothing is known of it."""
        if not self._under_way or not self._limits:
            return False
        figures, share = self._figures, self._under_way / max(1, self._done)
        grown = {name: figure + share * (figure - self._before[name]) for name, figure in figures.items()}
        return not self._done or any(grown[name] >= limit for name, limit in self._limits)

    @property
    def _limits(self) -> list[tuple[str, float]]:
        return [(name, limit) for name, limit in self._budget if limit is not None]

    @property
    def _figures(self) -> dict[str, float]:
        """What is spent, by the name of its limit."""
        usages = self._spent.values()
        calls, tokens = sum(u.calls for u in usages), sum(u.tokens for u in usages)
        return {"max_calls": calls, "max_tokens": tokens, "max_cost": self.cost}

    @property
    def cost(self) -> float:
        """Dollars of all models with a known price."""
        priced = ((self._prices[u.model], u) for u in self._spent.values() if u.model in self._prices)
        return sum(price.cost(u.input_tokens, u.output_tokens) for price, u in priced)

    def __str__(self) -> str:
        usages = self._spent.values()
        if not usages:
            return "nothing"
        unknown = sorted(u.model for u in usages if u.model not in self._prices)
        words = (
            f"{sum(u.calls for u in usages):,} calls, {sum(u.tokens for u in usages):,} tokens, {dollars(self.cost)}"
        )
        return words + (f" and the unknown price of {', '.join(unknown)}" if unknown else "")
