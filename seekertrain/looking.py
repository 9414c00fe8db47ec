"""Looking: looks at videos that are under way at once, a thread for each, none longer than a limit.

What a look gives is taken by whoever asked for it, when they ask; threads decide when it is there, never what it is.
"""

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

from seekerdata.errors import ItemError

AT_ONCE = 32
"""Looks that one process has under way: each may hold a decoder and what it has decoded."""
LIMIT_S = 120.0
"""Seconds that a look may take, unless a recipe says otherwise."""

Value = TypeVar("Value")


class Look(Generic[Value]):
    """One look: waits for its turn, is under way until `ends_s`, or is done: it has a value or an error."""

    def __init__(self, name: str, work: Callable[[], Value]) -> None:
        self.name, self.work = name, work
        self.ends_s, self.done = 0.0, False
        self.value: Value | None = None
        self.error: BaseException | None = None


class Looking:
    """Carries out looks. One that stalls is given up, and its place is another's; its thread ends with the process.

    Args:
        limit_s: seconds that a look may take from when it is begun.
        at_once: how many may be under way.
    """

    def __init__(self, limit_s: float = LIMIT_S, at_once: int = AT_ONCE) -> None:
        self.limit_s, self.at_once = limit_s, at_once
        self._waiting: deque[Look[Any]] = deque()
        self._under_way: set[Look[Any]] = set()
        self._changed = Condition()

    def start(self, name: str, work: Callable[[], Value]) -> Look[Value]:
        """Begin a look, now or when there is room.

        Args:
            name: what is looked at, for the error of one that takes too long.
            work: gives what is seen; it must change nothing that others read.
        """
        look = Look(name, work)
        with self._changed:
            self._waiting.append(look)
            self._go_on()
        return look

    def result(self, look: Look[Value]) -> Value:
        """What a look gave; waits for it.

        Raises:
            ItemError: `look_timeout` if it took longer than the limit.
            BaseException: what the look raised, with its own traceback.
        """
        with self._changed:
            while not look.done:
                self._give_up()
                ends_s = min((one.ends_s for one in self._under_way), default=None)
                if not look.done:
                    self._changed.wait(None if ends_s is None else max(0.0, ends_s - time.monotonic()))
        if look.error is not None:
            raise look.error
        return look.value  # type: ignore[return-value]

    def _go_on(self) -> None:
        while self._waiting and len(self._under_way) < self.at_once:
            look = self._waiting.popleft()
            look.ends_s = time.monotonic() + self.limit_s
            self._under_way.add(look)
            Thread(target=self._carry_out, args=(look,), daemon=True, name=f"look at {look.name}").start()

    def _give_up(self) -> None:
        """End the looks that have taken too long; what their threads may still find is dropped."""
        now_s = time.monotonic()
        for late in [one for one in self._under_way if one.ends_s <= now_s]:
            late.error = ItemError("look_timeout", f"{late.name}: not seen within {self.limit_s:g} s", retryable=True)
            self._end(late)

    def _carry_out(self, look: Look[Any]) -> None:
        value, raised = None, None
        try:
            value = look.work()
        except BaseException as error:  # a bug too: it is raised where the look is asked for
            raised = error
        with self._changed:
            if not look.done:
                look.value, look.error = value, raised
                self._end(look)

    def _end(self, look: Look[Any]) -> None:
        look.done = True
        self._under_way.remove(look)
        self._go_on()
        self._changed.notify_all()
