"""Patience: which failed calls are made again, and after how long. A pause that the server asks for is kept.

inspect_ai counts the attempts; of itself it would neither keep `Retry-After` nor try again after a cut-off reply.
"""

import json
import random
from typing import TYPE_CHECKING, Any

from seekerdata.run_log import log

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelAPI
    from tenacity import RetryCallState

FIRST_S, LONGEST_S = 1.0, 60.0
"""The first pause, doubled at every attempt, and the longest of our own choosing."""
ASKED_S = 3600.0
"""The longest pause that is kept because a server asks for it."""


def make_patient(model: "Model") -> None:
    """Let a model's calls be tried again as this file says; a second time changes nothing."""
    if not isinstance(model.api.retry_wait, _Patience):
        patience = _Patience(model.api)
        model.api.retry_wait = patience  # type: ignore[method-assign]
        setattr(model.api, "should_retry", patience.should_retry)  # noqa: B010


class _Patience:
    """One provider's rule, and ours around it."""

    def __init__(self, api: "ModelAPI") -> None:
        self._theirs = api.should_retry

    def __call__(self) -> Any:
        return self.pause_s

    def should_retry(self, error: Exception) -> Any:
        return isinstance(error, json.JSONDecodeError) or self._theirs(error)

    def pause_s(self, state: "RetryCallState") -> float:
        """Seconds until the next attempt; writes into the run's log why there is one."""
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(self._theirs(error), "retry_after", None) if isinstance(error, Exception) else None
        own = min(LONGEST_S, FIRST_S * 2 ** (state.attempt_number - 1)) * random.uniform(1, 1.5)
        pause = max(own, min(asked, ASKED_S)) if asked else own
        log(f"attempt {state.attempt_number} failed, again in {pause:.1f} s: {_named(error)}")
        return pause


def _named(error: BaseException | None) -> str:
    from seekerdata.models import said_of

    return said_of(error) if error else "no reply"
