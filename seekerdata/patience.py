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
        setattr(model.api, "generate", patience.generate)  # noqa: B010


class _Patience:
    """One provider's rule, and ours around it."""

    def __init__(self, api: "ModelAPI") -> None:
        self._theirs = api.should_retry
        self._generate = api.generate

    def __call__(self) -> Any:
        return self.pause_s

    async def generate(self, *arguments: Any, **settings: Any) -> Any:
        """The provider's call. What a server answers with an error comes without the way it took through the libraries:
        inspect_ai would draw that, with their source, for up to half a second of the one loop that all calls share.
        """
        try:
            result = await self._generate(*arguments, **settings)
        except Exception as error:
            if isinstance(getattr(error, "status_code", getattr(error, "code", None)), int) or self.should_retry(error):
                _forget_way(error)
            raise
        said = result[0] if isinstance(result, tuple) else result
        if isinstance(said, Exception):  # a refusal, as inspect_ai's providers hand it over
            _forget_way(said)
        return result

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


def _forget_way(error: BaseException | None) -> None:
    while error and error.__traceback__:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _named(error: BaseException | None) -> str:
    from seekerdata.models import said_of

    return said_of(error) if error else "no reply"
