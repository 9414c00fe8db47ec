"""Plans: what happens to a target and, differently, to its look-alike. Here the ones that need nobody else.

A plan is called with a draft and the numbers of the two; it returns one `Part` for each or raises `NoRoom`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from seekerdata.world.draft import Draft
from seekerdata.world.level import BRIGHT
from seekerdata.world.scene import SIDES, Event

ACTS = {
    "jump": "it jumps",
    "grow": "it grows",
    "shrink": "it shrinks",
    "vanish": "it vanishes",
    "flip": "it turns upside down",
}
DIGITS = tuple("123456789")
COUNTS = tuple("123456")
SYMBOLS = ("a heart", "a star", "a moon", "a cross", "a ring", "a bolt")
ITEMS = {
    "a flag": "flag/red",
    "a ball": "big_ball/orange",
    "an umbrella": "umbrella/purple",
    "a hammer": "hammer/grey",
    "a star": "star/yellow",
}


@dataclass(frozen=True)
class Part:
    """What happens to one of the two and what follows: `answer`, wrong answers to draw from (`pool`), wrong answers
    that must be among the options (`near`), and the words a question needs besides the target's (`other`)."""

    events: tuple[Event, ...]
    answer: str
    pool: tuple[str, ...]
    near: tuple[str, ...] = ()
    other: str = ""


Parts = tuple[Part, Part]
Plan = Callable[[Draft, tuple[int, int]], Parts]


def shown(kind: str, pool: tuple[str, ...], write: Callable[[str], str] = str) -> Plan:
    """The plan of everything that is simply shown for a moment: one event each, with another value.

    `write` turns an answer into the event's value.
    """

    def plan(draft: Draft, pair: tuple[int, int]) -> Parts:
        choices = draft.level.flash_colours if pool == BRIGHT else pool
        choices = tuple(v for v in choices if v not in {draft.things[i].colour for i in pair})
        values = draft.two(choices)
        length = draft.held_s
        above = kind == "hold_up"

        def fits(m: int, k: int) -> bool:
            return draft.clear(pair[m], k, length) and (not above or draft.headroom(pair[m], k))

        seconds = draft.seconds(fits, length)
        events = [Event(kind, pair[m], *draft.span(seconds[m], length), write(values[m])) for m in (0, 1)]
        return Part((events[0],), values[0], choices), Part((events[1],), values[1], choices)

    return plan


def dart(draft: Draft, pair: tuple[int, int]) -> Parts:
    """Each darts to another side and back."""
    sides = draft.two(SIDES)

    def fits(m: int, k: int) -> bool:
        goal = draft.at(pair[m], k) + np.array(SIDES[sides[m]]) * 1.9 * draft.things[pair[m]].radius_px
        return draft.clear(pair[m], k) and draft.free(goal, pair[m], k)

    seconds = draft.seconds(fits)
    events = [Event("dart", pair[m], *draft.span(seconds[m]), sides[m]) for m in (0, 1)]
    return Part((events[0],), sides[0], tuple(SIDES)), Part((events[1],), sides[1], tuple(SIDES))


def around(white: bool, asked: int) -> Plan:
    """Three seconds in a row: an act, turning white (or a second act), another act. `asked` is the place of the act
    that is the answer; with three acts the answer is their order."""

    def plan(draft: Draft, pair: tuple[int, int]) -> Parts:
        acts = [str(act) for act in draft.rng.permutation(list(ACTS))]
        rows = (acts[:2], acts[2:4]) if white else _orders(draft, acts[:3])

        def fits(m: int, k: int) -> bool:
            row = [rows[m][0], "", rows[m][1]] if white else rows[m]
            return draft.clear(pair[m], k, 3) and all(
                act != "jump" or draft.free(_jumped(draft, pair[m], k + i), pair[m], k + i) for i, act in enumerate(row)
            )

        seconds = draft.seconds(fits, 3)
        return (
            _row(draft, pair[0], seconds[0], rows[0], white, asked),
            _row(draft, pair[1], seconds[1], rows[1], white, asked),
        )

    return plan


def _orders(draft: Draft, acts: list[str]) -> tuple[list[str], list[str]]:
    first, second = draft.rng.choice(6, 2, replace=False)
    orders = [list(order) for order in permutations(acts)]
    return orders[first], orders[second]


def _jumped(draft: Draft, who: int, second: int) -> np.ndarray:
    return draft.at(who, second) + np.array([0, -1.5 * draft.things[who].radius_px])


def _row(draft: Draft, who: int, second: int, acts: list[str], white: bool, asked: int) -> Part:
    spans = [draft.span(second + i) for i in range(3)]
    if white:
        kinds = [("act", acts[0]), ("flash", "white"), ("act", acts[1])]
        answer, pool = ACTS[acts[asked]], tuple(ACTS.values())
    else:
        kinds = [("act", act) for act in acts]
        answer = ", ".join(acts)
        pool = tuple(", ".join(order) for order in permutations(acts))
    events = tuple(Event(kind, who, *spans[i], value) for i, (kind, value) in enumerate(kinds))
    near = (ACTS[acts[1 - asked]],) if white else ()
    return Part(events, answer, pool, near)
