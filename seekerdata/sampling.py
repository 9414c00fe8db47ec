"""Sampling: which times of a span to look at. Pure: a preset plus a span gives the same times on every machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_FLOAT_NOISE = 1e-9
"""Counts are rounded with this slack, so that 0.1 + 0.2 never adds a frame."""


class Sampling(Protocol):
    """Anything with `times(start_s, end_s)`: seconds from the video's start, in the order wanted."""

    def times(self, start_s: float, end_s: float) -> list[float]: ...


@dataclass(frozen=True)
class Uniform:
    """`n` times spread evenly from start to end, both included; `n=1` is the start alone."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"uniform: n must be at least 1, got {self.n}")

    def times(self, start_s: float, end_s: float) -> list[float]:
        """Return `n` times in seconds, the first exactly `start_s`, the last exactly `end_s`."""
        _check_span(start_s, end_s)
        if self.n == 1:
            return [start_s]
        step_s = (end_s - start_s) / (self.n - 1)
        return [start_s + k * step_s for k in range(self.n - 1)] + [end_s]


@dataclass(frozen=True)
class FpsCapped:
    """`fps` frames per second, but no more than `max_frames` and no fewer than `min_frames`.

    Left-aligned: start, start + step, ... below the end. A long span takes wider steps instead of losing its end;
    a span with fewer than `min_frames` takes `min_frames` with narrower steps.
    """

    fps: float
    max_frames: int
    min_frames: int = 1

    def __post_init__(self) -> None:
        if not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"fps_capped: fps must be above 0, got {self.fps}")
        if not 1 <= self.min_frames <= self.max_frames:
            raise ValueError(
                f"fps_capped: need 1 <= min_frames <= max_frames, got {self.min_frames} and {self.max_frames}"
            )

    def times(self, start_s: float, end_s: float) -> list[float]:
        """Return between `min_frames` and `max_frames` times in seconds; all are `start_s` if the span is empty."""
        _check_span(start_s, end_s)
        span_s = end_s - start_s
        step_s = max(1.0 / self.fps, span_s / self.max_frames)
        count = min(math.ceil(span_s / step_s - _FLOAT_NOISE), self.max_frames)
        if count < self.min_frames:
            count, step_s = self.min_frames, span_s / self.min_frames
        return [start_s + k * step_s for k in range(count)]


@dataclass(frozen=True)
class At:
    """Exactly these times (seconds from the video's start), whatever the span."""

    times_s: tuple[float, ...]

    def times(self, start_s: float, end_s: float) -> list[float]:
        """Return the times as they were given; the span is not looked at."""
        return list(self.times_s)


def uniform(n: int) -> Uniform:
    """`n` evenly spread times, both ends included."""
    return Uniform(n)


def fps_capped(fps: float, max_frames: int, min_frames: int = 1) -> FpsCapped:
    """`fps` frames per second within `min_frames` and `max_frames`, left-aligned."""
    return FpsCapped(fps, max_frames, min_frames)


def at(times_s: Sequence[float]) -> At:
    """Exactly these times."""
    return At(tuple(float(time_s) for time_s in times_s))


def _check_span(start_s: float, end_s: float) -> None:
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s <= end_s):
        raise ValueError(f"a span needs start <= end, both finite, got {start_s} and {end_s}")
