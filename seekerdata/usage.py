"""Usage: what model calls took, by model, noted where each call is made; so a dropped or failed item counts too."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Usage(NamedTuple):
    """Calls of one model and what they took; a call that failed is a call of unknown, here no, tokens."""

    model: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


_meter: ContextVar[dict[str, Usage] | None] = ContextVar("_meter", default=None)


@contextmanager
def metered() -> Iterator[dict[str, Usage]]:
    """Notes every call inside, by model; calls in event loops started inside count too."""
    meter: dict[str, Usage] = {}
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def note(model: str, input_tokens: int = 0, output_tokens: int = 0) -> None:
    """Count one call."""
    meter = _meter.get()
    if meter is not None:
        add(meter, Usage(model, 1, input_tokens, output_tokens))


def add(totals: dict[str, Usage], more: Usage) -> None:
    """Add to the totals by model."""
    old = totals.get(more.model, Usage(more.model))
    sums = (a + b for a, b in zip(old[1:], more[1:], strict=True))
    totals[more.model] = Usage(more.model, *sums)
