"""The event loop of this process that asks models: one, so that all threads share connections and rate limits.

A client belongs to the loop that first used it; a loop for every item would open a connection for every call.
"""

import asyncio
from collections.abc import Coroutine
from functools import lru_cache
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_starting = Lock()


async def on_model_loop(call: Coroutine[Any, Any, T]) -> T:
    """Await a call from any loop of any thread, on the loop for models; context variables go along."""
    with _starting:
        loop = _loop()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, loop))


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="models", daemon=True).start()
    return loop
