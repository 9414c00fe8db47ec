"""Episode: a scene and the plans behind it, made from (level, seed, index) alone."""

from dataclasses import dataclass

import numpy as np

from seekerdata.errors import ItemError
from seekerdata.world.cast import MOST, cast
from seekerdata.world.draft import Draft, NoRoom, Span, window
from seekerdata.world.families import FAMILIES, Family
from seekerdata.world.level import Level
from seekerdata.world.plans import Parts
from seekerdata.world.scene import Scene

TRIES = 120
"""Drafts before a clip is given up; most succeed at once."""


@dataclass(frozen=True)
class Planned:
    """One family played out by two things. `first` is the member that is asked about first."""

    family: str
    pair: tuple[int, int]
    parts: Parts
    windows: tuple[Span, Span]
    first: int
    alike: bool
    held: bool


@dataclass(frozen=True)
class Episode:
    scene: Scene
    planned: tuple[Planned, ...]


def episode(level: Level, seed: int, number: int, index: int) -> Episode:
    """Clip `index` of the world with this seed; `number` is the level's.

    Raises:
        ItemError: `no_room`, the settings leave no place for what is asked.
    """
    for attempt in range(TRIES):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number, index, attempt]))
        try:
            return _attempt(level, rng, programme(level, seed, index, skip=attempt // 20), attempt >= 10)
        except NoRoom:
            continue
    raise ItemError("no_room", f"world clip {index}: no room for its events; use a longer or larger clip")


def programme(level: Level, seed: int, index: int, skip: int = 0) -> list[str]:
    """The families of one clip: dimensions are dealt like cards, so that all come equally often; families that need
    more things than fit beside the others are passed over, as are the first `skip`."""
    names = level.families or tuple(FAMILIES)
    dimensions = sorted({FAMILIES[name].dimension for name in names})
    size = len(dimensions)
    chosen: list[str] = []
    place = index * level.plans
    for turn in range(place, place + level.plans):
        for other in range(skip, skip + 2 * size):
            cycle, spot = divmod(turn + other, size)
            deck = np.random.default_rng(np.random.SeedSequence([seed, cycle])).permutation(size)
            inside = [name for name in names if FAMILIES[name].dimension == dimensions[deck[spot]]]
            name = inside[cycle % len(inside)]
            if _fits([*chosen, name]) and (name not in chosen or len(names) < level.plans):
                chosen.append(name)
                break
    return chosen


def _fits(names: list[str]) -> bool:
    pairs = len(_pairs([FAMILIES[name] for name in names])[0])
    return 2 * pairs + max(FAMILIES[name].names for name in names) <= MOST


def _pairs(families: list[Family]) -> tuple[list[str], list[int]]:
    """The pairs that the families need, as "object" or "person", and which of them each family gets."""
    kinds: list[str] = []
    used: list[set[str]] = []
    where = []
    for family in families:
        free = (i for i, kind in enumerate(kinds) if kind == family.actor and not used[i] & family.uses)
        place = next(free, len(kinds))
        if place == len(kinds):
            kinds.append(family.actor)
            used.append(set())
        used[place] |= family.uses
        where.append(place)
    return kinds, where


def _attempt(level: Level, rng: np.random.Generator, names: list[str], few: bool) -> Episode:
    families = [FAMILIES[name] for name in names]
    needed = max(family.names for family in families)
    kinds, places = _pairs(families)
    lone = next((i for i in range(len(names)) if rng.random() < level.no_mark_share), None)
    apart: list[str] = []
    if lone is not None:  # this plan gets two things with words of their own instead of a pair
        others, rest = _pairs([family for i, family in enumerate(families) if i != lone])
        others = others or [families[lone].actor]
        if 2 * len(others) + 2 + needed <= MOST:
            kinds, places, apart = others, [*rest[:lone], len(others), *rest[lone:]], [families[lone].actor] * 2
    singles = level.singles[0] if few else int(rng.integers(level.singles[0], level.singles[1] + 1))
    singles = min(max(singles, needed), MOST - 2 * len(kinds) - len(apart))
    duration_s = int(rng.integers(level.duration_s[0], level.duration_s[1] + 1))
    draft = Draft(level, rng, cast(level, rng, kinds, apart, singles, duration_s), duration_s)
    draft.singles = list(range(2 * len(kinds) + len(apart), len(draft.things)))
    planned = tuple(
        _plan(draft, name, (2 * place, 2 * place + 1), place < len(kinds))
        for name, place in zip(names, places, strict=True)
    )
    return Episode(_scene(draft, planned), planned)


def _holding(level: Level) -> float:
    """Which share of a level's questions is of families whose event can be held."""
    by_dimension: dict[str, list[bool]] = {}
    for name in level.families or FAMILIES:
        by_dimension.setdefault(FAMILIES[name].dimension, []).append(FAMILIES[name].holds)
    return sum(sum(some) / len(some) for some in by_dimension.values()) / len(by_dimension)


def _scene(draft: Draft, planned: tuple[Planned, ...]) -> Scene:
    level = draft.level
    events = [event for plan in planned for part in plan.parts for event in part.events]
    return Scene(
        size_wh=level.size_wh,
        fps=level.fps,
        frames=draft.duration_s * level.fps,
        things=draft.things,
        events=tuple(sorted(events, key=lambda event: (event.start_s, event.actor))),
        texture=int(draft.rng.integers(2**31)),
        plain=level.plain,
    )


def _plan(draft: Draft, name: str, pair: tuple[int, int], alike: bool) -> Planned:
    family = FAMILIES[name]
    held = family.holds and bool(draft.rng.random() * _holding(draft.level) < draft.level.no_crop_share)
    draft.held_s = 3 if held else 1
    parts = family.plan(draft, pair)
    draft.held_s = 1
    windows = [
        window(draft, [e.core_s for e in part.events], [(e.start_s, e.end_s) for e in part.events]) for part in parts
    ]
    first = int(draft.rng.integers(2))
    return Planned(name, pair, parts, (windows[0], windows[1]), first, alike, held)
