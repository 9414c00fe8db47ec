"""Draft: a scene while its events are being placed. It finds seconds in which everything asked about can be seen,
and no two plans share a second."""

from collections.abc import Callable, Iterable

import numpy as np

from seekerdata.sampling import fps_capped
from seekerdata.world.level import Level
from seekerdata.world.scene import Thing

CROP = fps_capped(1, max_frames=64, min_frames=4)
"""What `crop_video` shows of a window by default."""

STEP = 4
"""Positions are looked up this many times a second."""

Span = tuple[float, float]


class NoRoom(Exception):
    """There is no place or time for this plan in this draft."""


class Draft:
    """Things, a length, and the whole seconds already in use."""

    def __init__(self, level: Level, rng: np.random.Generator, things: tuple[Thing, ...], duration_s: int) -> None:
        self.level, self.rng, self.things, self.duration_s = level, rng, things, duration_s
        self.singles: list[int] = []
        """Things with words of their own that a plan may name."""
        self.held_s = 1
        """How many seconds the next shown event lasts (it ends just before the last is over)."""
        self.taken: set[int] = set()
        times = np.arange(duration_s * STEP) / STEP
        self.places = np.stack([thing.path.at(times) for thing in things])
        self.radii = np.array([t.radius_px * (1.3 if t.shape == "person" else 1.0) for t in things])
        gaps = np.linalg.norm(self.places[:, None] - self.places[None], axis=-1)
        need = 0.9 * (self.radii[:, None] + self.radii[None]) * (1 - np.eye(len(things)))
        self.seen = (gaps >= need[..., None]).all(axis=1) & self._inside(self.places, self.radii[:, None])

    def _inside(self, places: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
        width, height = self.level.size_wh
        x, y = places[..., 0], places[..., 1]
        return (x > radius) & (x < width - radius) & (y > radius) & (y < height - radius)

    def two(self, pool: Iterable[str]) -> tuple[str, str]:
        """Two different values of a pool."""
        first, second = self.rng.permutation(list(pool))[:2]
        return str(first), str(second)

    def at(self, who: int, second: int) -> np.ndarray:
        """Where thing `who` is in the middle of a second, undisturbed."""
        return self.places[who, second * STEP + STEP // 2]

    def clear(self, who: int, second: int, seconds: int = 1) -> bool:
        """Thing `who` is inside the frame and uncovered from `second` for `seconds`, both ends included."""
        return bool(self.seen[who, second * STEP : (second + seconds) * STEP + 1].all())

    def headroom(self, who: int, second: int) -> bool:
        """There is room in the frame for something above the thing."""
        return bool(self.at(who, second)[1] > 2.2 * self.things[who].radius_px)

    def free(self, xy: np.ndarray, who: int, second: int, ignore: tuple[int, ...] = ()) -> bool:
        """Thing `who` could stand at `xy` in the middle of a second, touching nothing but those ignored."""
        if not self._inside(xy, self.radii[who]):
            return False
        others = [i for i in range(len(self.things)) if i != who and i not in ignore]
        gaps = [float(np.hypot(*(self.at(i, second) - xy))) for i in others]
        return all(gap >= 0.95 * (self.radii[i] + self.radii[who]) for i, gap in zip(others, gaps, strict=True))

    def seconds(self, fits: Callable[[int, int], bool], count: int = 1, apart: bool | None = None) -> tuple[int, int]:
        """First seconds of `count` free ones in a row for member 0 and for member 1, where `fits(member, second)`.

        Both are the same second unless `apart`; None leaves it to chance. The seconds are then taken.
        """
        if apart is None:
            apart = not self.level.plain and self.rng.random() < 0.3
        starts = [int(k) for k in self.rng.permutation(np.arange(1, self.duration_s - count))]
        starts = [k for k in starts if not self.taken & set(range(k, k + count))]
        if not apart:
            for k in starts:
                if fits(0, k) and fits(1, k):
                    return self._take(k, k, count)
            raise NoRoom
        first = next((k for k in starts if fits(0, k)), None)
        second = next(
            (k for k in starts if first is not None and abs(k - first) >= count and fits(1, k)),
            None,
        )
        if first is None or second is None:
            raise NoRoom
        return self._take(first, second, count)

    def _take(self, first: int, second: int, count: int) -> tuple[int, int]:
        self.taken |= {*range(first, first + count), *range(second, second + count)}
        return first, second

    def span(self, second: int, seconds: int = 1) -> Span:
        """When an event of this second begins and ends: never on a whole second, so no overview frame shows it."""
        if self.level.plain:
            return second + 0.2, second + seconds - 0.2
        begin, end = self.rng.uniform(0.13, 0.22), self.rng.uniform(0.78, 0.87)
        return round(second + float(begin), 2), round(second + seconds - 1 + float(end), 2)


def window(draft: Draft, cores: list[Span], spans: list[Span]) -> Span:
    """A window (one decimal) around the spans whose crop has a frame inside every core, and a whole second to mark.

    Raises:
        NoRoom: no such window shorter than 4 s.
    """
    begin, end = min(s for s, _ in spans), max(e for _, e in spans)
    if draft.level.plain:
        return float(int(begin)), int(begin) + 0.9
    latest_s = draft.duration_s - 0.1
    options = [
        (start / 10, (start + length) / 10)
        for length in range(10, 35 if len(cores) == 1 else 40)
        for start in range(max(0, int(end * 10) + 1 - length), int(begin * 10) + 1)
        if start + length <= latest_s * 10
    ]
    for i in draft.rng.permutation(len(options)):
        low, high = options[int(i)]
        if _shows(low, high, cores):
            return low, high
    raise NoRoom


def _shows(low: float, high: float, cores: list[Span]) -> bool:
    times = CROP.times(low, high)
    marked = int(np.ceil(low)) <= high
    return marked and all(any(a + 0.04 <= t <= b - 0.04 for t in times) for a, b in cores)
