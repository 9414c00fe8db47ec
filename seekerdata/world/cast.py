"""Cast: the things of one clip. Look-alikes come in pairs that share their words; everything else has its own words."""

from dataclasses import replace
from typing import Any

import numpy as np

from seekerdata.world.draft import NoRoom
from seekerdata.world.level import Level
from seekerdata.world.scene import Path, Thing

PEOPLE_SHARE = 0.25
"""How many of the things without a look-alike are people."""

MOST = 8
"""The most things in one clip."""


def cast(
    level: Level,
    rng: np.random.Generator,
    pairs: list[str],
    lone: list[str],
    singles: int,
    duration_s: int,
) -> tuple[Thing, ...]:
    """Two of each of `pairs` ("object" or "person"), one of each of `lone`, then `singles` others, which may come
    and go; pair p is things 2p and 2p + 1."""
    chance = 0.0 if level.plain else PEOPLE_SHARE
    others = ["person" if rng.random() < chance else "object" for _ in range(singles)]
    looks = _looks(level, rng, [*pairs, *lone, *others])
    for look in looks:
        look["radius_px"] = round(float(rng.uniform(*level.radius)) * min(level.size_wh) * 2) / 2
    looks = [look for look in looks[: len(pairs)] for _ in range(2)] + looks[len(pairs) :]
    homes = _homes(level, rng, len(looks))
    things = [_thing(level, rng, look, home) for look, home in zip(looks, homes, strict=True)]
    stay = len(things) - singles
    return (
        *things[:stay],
        *(_coming_and_going(level, rng, thing, duration_s) for thing in things[stay:]),
    )


def _looks(level: Level, rng: np.random.Generator, kinds: list[str]) -> list[dict[str, Any]]:
    """One distinct look for each kind; no two share their words."""
    objects = [(s, c) for s in level.shapes for c in level.body_colours]
    rng.shuffle(objects)
    shirts = list(rng.permutation(level.body_colours))
    found: list[dict[str, Any]] = []
    for kind in kinds:
        if kind == "person":
            shirt = str(shirts.pop())
            trousers = str(rng.choice([c for c in level.body_colours if c != shirt]))
            hair = str(rng.choice(["brown", "black", "blond"]))
            words = f"person in the {shirt} shirt" + (f" and {trousers} trousers" if level.natural else "")
            found.append({"shape": "person", "colour": shirt, "trousers": trousers, "hair": hair, "words": words})
        else:
            if not objects:
                raise NoRoom
            shape, colour = (str(word) for word in objects.pop())
            words = shape if level.plain else f"{colour} {shape}"
            found.append({"shape": shape, "colour": colour, "words": words})
    return found


def _homes(level: Level, rng: np.random.Generator, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Centre and half-size (pixels) of a region for each thing: cells of a grid, drawn without repetition."""
    width, height = level.size_wh
    columns = 2 if count <= 4 else max(3, round(np.sqrt(count * width / height)))
    rows = 1 if count <= 2 else int(np.ceil(count / columns))
    cell = np.array([width / columns, height / rows])
    places = rng.permutation(columns * rows)[:count]
    return [(cell * (np.array([p % columns, p // columns]) + 0.5), cell / 2) for p in places]


def _thing(
    level: Level,
    rng: np.random.Generator,
    look: dict[str, Any],
    home: tuple[np.ndarray, np.ndarray],
) -> Thing:
    radius, (centre, half) = look["radius_px"], home
    if level.plain:  # each stays in its own half, so that its place is a word: left or right
        swing = np.array([0.25, 0.9]) * np.maximum(half - radius * 1.1, 1)
    else:
        swing = np.minimum(half * rng.uniform(0.5, 1.0, 2), radius * 3)
        centre = centre + rng.uniform(-0.15, 0.15, 2) * half
        edge = np.array([radius, radius * (1.45 if look["shape"] == "person" else 1.2)]) * 1.2 + 1
        centre = np.clip(centre, edge, np.array(level.size_wh) - edge)
        swing = np.minimum(swing, np.minimum(centre - edge, np.array(level.size_wh) - edge - centre) + radius)
        if look["shape"] == "person":
            swing[1] *= 0.3
    periods, phases = rng.uniform(9, 20, 2), rng.uniform(0, 2 * np.pi, 2)
    path = Path(_pair(centre), _pair(np.maximum(swing, 1)), _pair(periods), _pair(phases))
    return Thing(path=path, **look)


def _coming_and_going(level: Level, rng: np.random.Generator, thing: Thing, duration_s: int) -> Thing:
    """Half of the things without a look-alike enter late or leave early, over the nearer side."""
    if level.plain or rng.random() < 0.5:
        return thing
    width = level.size_wh[0]
    x = thing.path.centre_xy[0]
    reach = thing.path.swing_xy[0] + 2 * thing.radius_px
    edge = (-(x + reach) if x < width / 2 else width - x + reach, 0.0)
    share = rng.uniform(0.05, 0.3)
    if rng.random() < 0.5:
        return replace(thing, path=replace(thing.path, edge_xy=edge, enter_s=share * duration_s))
    return replace(thing, path=replace(thing.path, edge_xy=edge, leave_s=(1 - share) * duration_s))


def _pair(values: np.ndarray) -> tuple[float, float]:
    return round(float(values[0]), 3), round(float(values[1]), 3)
