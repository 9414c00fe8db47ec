"""Stories: plans in which other things take part by name, so that each of them must have words of its own."""

from collections.abc import Callable

import numpy as np

from seekerdata.world.draft import Draft, NoRoom
from seekerdata.world.plans import SYMBOLS, Part, Parts
from seekerdata.world.scene import BALL, SIDES, Event, beside

PLACES = {"left": "left", "right": "right", "up": "above", "down": "below"}
Pair = tuple[int, int]


def the(draft: Draft, who: int) -> str:
    return f"the {draft.things[who].words}"


def _names(draft: Draft, count: int = 4) -> list[int]:
    """`count` of the things with words of their own, in random order."""
    return [int(i) for i in draft.rng.permutation(draft.singles)[:count]]


def _several(draft: Draft, attempt: Callable[[list[int]], Parts]) -> Parts:
    """The first of a few random castings of the others for which there is room."""
    for _ in range(7):
        try:
            return attempt(_names(draft))
        except NoRoom:
            continue
    return attempt(_names(draft))


def _all_clear(draft: Draft, whom: list[int], second: int) -> bool:
    return all(draft.clear(who, second) for who in whom)


def match(draft: Draft, pair: Pair) -> Parts:
    """Everything shows a symbol; exactly one of the others shows the target's."""
    others = _names(draft)
    symbols = [s.split()[1] for s in draft.rng.permutation(SYMBOLS)]
    (k, _) = draft.seconds(lambda m, k: _all_clear(draft, [*pair, *others], k), apart=False)
    span = draft.span(k)
    crowd = tuple(Event("face", who, *span, symbols[i]) for i, who in enumerate(others))
    pool = tuple(the(draft, who) for who in others)
    parts = []
    for m in (0, 1):
        own = Event("face", pair[m], *span, symbols[m])
        parts.append(Part((own, *crowd) if m == 0 else (own,), pool[m], pool))
    return parts[0], parts[1]


def together(draft: Draft, pair: Pair) -> Parts:
    """The target and some of the others turn white at one moment; the look-alike with another number of them."""
    others = _names(draft)
    counts = [int(n) for n in draft.two("1234")]
    crowds = [others[: counts[0]], others[::-1][: counts[1]]]
    seconds = draft.seconds(lambda m, k: _all_clear(draft, [pair[m], *crowds[m]], k), apart=True)
    parts = []
    for m in (0, 1):
        span = draft.span(seconds[m])
        events = tuple(Event("flash", who, *span, "white") for who in (pair[m], *crowds[m]))
        parts.append(Part(events, str(counts[m]), tuple("1234")))
    return parts[0], parts[1]


def visit(draft: Draft, pair: Pair) -> Parts:
    """The target appears beside another thing for a moment; the look-alike on another side of the same thing."""
    (host,) = _names(draft, 1)
    sides = draft.two(SIDES)

    def fits(m: int, k: int) -> bool:
        goal = beside(draft.at(host, k), draft.things[host], draft.things[pair[m]], sides[m])
        far = float(np.hypot(*(goal - draft.at(pair[m], k)))) > 2 * draft.radii[pair[m]]
        return far and _all_clear(draft, [pair[m], host], k) and draft.free(goal, pair[m], k, (host,))

    seconds = draft.seconds(fits, apart=True)
    parts = []
    for m in (0, 1):
        event = Event("visit", pair[m], *draft.span(seconds[m]), sides[m], host)
        parts.append(Part((event,), PLACES[sides[m]], tuple(PLACES.values()), other=the(draft, host)))
    return parts[0], parts[1]


def swap(draft: Draft, pair: Pair) -> Parts:
    """The target changes places with another thing for a moment, the look-alike with a third."""
    partners = _names(draft)
    return _with_others(draft, pair, "swap", partners, lambda who, other, k: True)


def bump(draft: Draft, pair: Pair) -> Parts:
    """Something runs into the target, which turns white from it."""
    others = _names(draft)

    def reaches(who: int, other: int, k: int) -> bool:
        way = draft.at(who, k) - draft.at(other, k)
        gap = draft.things[who].radius_px + draft.things[other].radius_px
        goal = draft.at(who, k) - way / np.hypot(*way) * 0.95 * gap
        return draft.free(goal, other, k, (who,))

    parts = []
    for part in _with_others(draft, pair, "bump", others, reaches):
        (hit,) = part.events
        hit = Event("bump", hit.other, hit.start_s, hit.end_s, other=hit.actor)
        white = Event("flash", hit.other, round(hit.core_s[0] + 0.04, 2), hit.end_s, "white")
        pool = tuple(f"{name} bumps into it" for name in part.pool)
        parts.append(Part((hit, white), f"{part.answer} bumps into it", pool))
    return parts[0], parts[1]


def _with_others(
    draft: Draft, pair: Pair, kind: str, others: list[int], fits: Callable[[int, int, int], bool]
) -> Parts:
    """One event of `kind` for each of the two, member m with `others[m]`."""
    seconds = draft.seconds(
        lambda m, k: _all_clear(draft, [pair[m], others[m]], k) and fits(pair[m], others[m], k),
        apart=True,
    )
    pool = tuple(the(draft, who) for who in others)
    events = [Event(kind, pair[m], *draft.span(seconds[m]), other=others[m]) for m in (0, 1)]
    return Part((events[0],), pool[0], pool), Part((events[1],), pool[1], pool)


def crown(draft: Draft, pair: Pair) -> Parts:
    """A crown goes from the target to a second and a third; another goes from the look-alike to two others."""

    def attempt(names: list[int]) -> Parts:
        chains = [[pair[0], names[0], names[1]], [pair[1], names[2], names[3]]]

        def fits(m: int, k: int) -> bool:
            return all(draft.clear(who, k + i) and draft.headroom(who, k + i) for i, who in enumerate(chains[m]))

        seconds = draft.seconds(fits, count=3, apart=True)
        pool = tuple(the(draft, who) for who in names)
        parts = []
        for m in (0, 1):
            events = tuple(Event("crown", who, *draft.span(seconds[m] + i)) for i, who in enumerate(chains[m]))
            parts.append(Part(events, the(draft, chains[m][2]), pool, (the(draft, chains[m][1]),)))
        return parts[0], parts[1]

    return _several(draft, attempt)


def ball(draft: Draft, pair: Pair) -> Parts:
    """A ball flies at the target and bounces off; without the target it would have hit the thing behind."""

    def attempt(names: list[int]) -> Parts:
        seconds = draft.seconds(lambda m, k: _lined_up(draft, pair[m], names[m], k), apart=True)
        pool = tuple(the(draft, who) for who in names)
        events = [Event("ball", pair[m], *draft.span(seconds[m]), other=names[m]) for m in (0, 1)]
        return Part((events[0],), pool[0], pool), Part((events[1],), pool[1], pool)

    return _several(draft, attempt)


def _lined_up(draft: Draft, who: int, goal: int, second: int) -> bool:
    """A ball that comes from the far side of `who` would, without it, hit `goal` first and clearly."""
    if not _all_clear(draft, [who, goal], second):
        return False
    here, way = draft.at(who, second), draft.at(goal, second) - draft.at(who, second)
    length = float(np.hypot(*way))
    unit, ball = way / length, BALL * draft.things[who].radius_px
    start = here - unit * (3 * draft.things[who].radius_px + ball)
    if not draft.free(start, who, second, (who,)):
        return False
    for i in range(len(draft.things)):
        there = draft.at(i, second) - here
        along, aside = float(there @ unit), abs(float(there[0] * unit[1] - there[1] * unit[0]))
        ahead = -3.5 * draft.radii[who] < along < length + draft.radii[goal]
        if i not in (who, goal) and ahead and aside < draft.radii[i] + 2 * ball:
            return False
    return True
