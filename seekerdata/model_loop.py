"""The event loop of this process that asks models: one, so that all threads share connections.

An item is at work or it waits for a model. One item of a process is at work at a time, so that of the many that wait
none holds decoded frames, and decoders do not use up each other's time.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_starting = Lock()
_work = Lock()
_item: ContextVar["_Item | None"] = ContextVar("_item", default=None)


@contextmanager
def at_work() -> Iterator[None]:
    """Around all the work on one item."""
    item = _Item()
    token = _item.set(item)
    with _work:
        try:
            yield
        finally:
            _item.reset(token)


async def on_model_loop(call: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Await a call from any loop of any thread, on the loop for models; context variables go along.

    Args:
        call: what is awaited.
        loop: the loop of whoever made the model, where that is not us: an evaluation's runner.
    """
    if loop is None:
        with _starting:
            loop = _loop()
    with waiting():
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, loop))


@contextmanager
def waiting() -> Iterator[None]:
    """Around waiting for another machine or another item: others work meanwhile. An item may wait for several calls at
    once; it is at work again when the last is back."""
    item = _item.get()
    if item is None:
        yield
        return
    if item.calls == 0:
        _work.release()
    item.calls += 1
    try:
        yield
    finally:
        item.calls -= 1
        if item.calls == 0:
            _work.acquire()


@dataclass
class _Item:
    """What one thread works on."""

    calls: int = 0
    """Those it waits for."""


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="models", daemon=True).start()
    return loop
