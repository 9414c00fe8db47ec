"""Scribble: a quick zigzag over the target. A target too small for that is circled by hand instead."""

import math
from collections.abc import Iterator

import numpy as np

from seekerdata.drawing import Ink, Target, least_hiding
from seekerdata.visual_prompt import Shape

__all__ = ["Scribble"]


class Scribble(Shape):
    """A quick zigzag over the target that hides at most `most_hidden` of it; a tiny target is circled by hand."""

    phrase: str = "the target under the scribble mark"
    width: tuple[float, float] = (1.5, 2.2)
    """Line width, drawn evenly from this range, in 1/336 of the frame's longer side."""
    smallest_width: float = 1.2
    """To which the line narrows on a small target, in 1/336 of the frame's longer side."""
    turns: tuple[int, int] = (5, 7)
    """Range of the number of turns on a target as long as wide; a longer one gets up to twice as many."""
    most_hidden: float = 0.25
    """Share of the target that line and rim may cover."""

    def draw(
        self,
        canvas: np.ndarray,
        mask: np.ndarray,
        colour: tuple[int, int, int],
        rng: np.random.Generator,
        number: int = 1,
    ) -> None:
        """See `Shape.draw`."""
        target = Target.of(mask)
        least_hiding(self._marks(target, rng), self.most_hidden).paint(canvas, colour)

    def _marks(self, target: Target, rng: np.random.Generator) -> Iterator[Ink]:
        """Zigzags with fewer and fewer turns, the last ones with a narrower line; then the loop."""
        inner, _ = target.depths
        inner = inner[:: max(1, len(inner) // 1000)]
        points, axes = _upright(inner)
        length, breadth = np.ptp(points, axis=0) + 1
        turns = rng.integers(self.turns[0], self.turns[1] + 1) * min(2.0, math.sqrt(length / breadth))
        jitter = rng.uniform(-1, 1, (round(turns), 2))
        width_px = rng.uniform(*self.width) * target.scale
        narrow_px = min(width_px, max(self.smallest_width * target.scale, 1.2))
        fewer = [(count, width_px) for count in range(len(jitter), 3, -1)]
        for count, line_px in [*fewer, *((count, narrow_px) for count in (5, 4, 3))]:
            # A zigzag within a thin, long target would be a line along it that hides it: swing beyond its sides.
            swing_px = 3 * line_px if length > 4 * breadth else 0.0
            if count > 3 and 0.4 * count * breadth * line_px > self.most_hidden * target.area_px:
                continue  # it would surely hide too much: not worth the drawing
            path = smooth(_zigzag(points, jitter[:count], swing_px)) @ axes + inner.mean(axis=0)
            yield Ink(target).line(path, line_px)
        path = _loop(target, width_px, rng)
        if target.inside_frame(path).mean() > 0.15:
            yield Ink(target).line(path, width_px)


def _upright(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) as x along and y across their longest extent, from their mean; the axes (2, 2) undo the turn."""
    offsets = points - points.mean(axis=0)
    # In whole numbers, so that a disc or a square does not turn by 90 degrees on a machine that rounds otherwise.
    dots = np.floor(points).astype(np.int64)
    x, y = dots.T
    pairs = ((x, x), (y, y), (x, y))
    xx, yy, xy = (len(dots) * int((a * b).sum()) - int(a.sum()) * int(b.sum()) for a, b in pairs)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return offsets @ axes.T, axes


def _zigzag(points: np.ndarray, jitter: np.ndarray, swing_px: float) -> np.ndarray:
    """(turns, 2) corners at alternate sides of points (N, 2) along and across, at least `swing_px` from the middle.

    Jitter is (turns, 2) of -1..1: how far a corner is moved along and across.
    """
    along, across = points.T
    edges = np.linspace(along.min(), along.max() + 1e-6, len(jitter) + 1)
    corners = []
    for index, (shift, depth) in enumerate(jitter):
        slab = across[(along >= edges[index]) & (along < edges[index + 1])]
        if slab.size:
            low, high = slab.min(), slab.max()
            half = max(0.6 * (high - low) / 2, swing_px) * (1 + 0.27 * depth)
            spot = edges[index] + (edges[index + 1] - edges[index]) * (0.5 + 0.25 * shift)
            corners.append((spot, (low + high) / 2 + (half if index % 2 else -half)))
    if len(corners) < 2:
        return np.array([(0.6 * along.min(), 0.0), (0.6 * along.max() + 1e-3, 0.0)])
    return np.array(corners)


def _loop(target: Target, width_px: float, rng: np.random.Generator) -> np.ndarray:
    """(M, 2) a little more than one turn around the target, drifting outwards and not quite round."""
    low, high = target.box_xyxy.reshape(2, 2)
    angles = rng.uniform(0, 2 * math.pi) + np.linspace(0, 2.5 * math.pi, 14)
    # The ellipse through the corners of the target's box, and then clear of them.
    radii = 1.05 * (math.sqrt(0.5) * (high - low) + width_px / 2 + Ink(target).casing_px + target.scale)
    drift = np.linspace(0, 2.5 * width_px, 14) + rng.uniform(0, 0.8, 14) * target.scale
    spokes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return smooth((low + high) / 2 + spokes * (radii + drift[:, None]))


def smooth(points_xy: np.ndarray) -> np.ndarray:
    """(8N - 7, 2) a curve through all (N, 2) points (Catmull-Rom), as a hand would join them."""
    ends = 2 * points_xy[[0, -1]] - points_xy[[1, -2]]
    p = np.concatenate([ends[:1], points_xy, ends[1:]])
    t = (np.arange(8) / 8)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points_xy[-1:]])
