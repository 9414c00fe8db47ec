"""Target and Ink: the pixels that a mark is for, and the pixels that it puts down. A mark leaves its target visible.

Points are (N, 2) float x, y in continuous pixels: the pixel in row r, column c covers [c, c + 1) x [r, r + 1). All
lengths scale with the frame. Curves are drawn by OpenCV in fixed point, so its versions agree to the bit.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from seekerdata.colour import RGB, opposite

REFERENCE_PX = 336
"""Lengths are given in 1/336 of the frame's longer side, as in ViP-LLaVA."""
SMALLEST_PX = 224
"""A smaller frame gets the marks of one this size: below it, lines and digits could not be made out."""
CASING = 0.4
"""Width of the rim that parts every mark from its surroundings, in 1/336 of the longer side."""
CASING_OPACITY = 191
"""Of 255. The rim is seen through, which keeps it quieter than the mark."""
FINEST_PX = 2400
"""Marks are drawn on a grid about this wide and reduced to the frame, up to 4 x 4 dots a pixel."""
FRACTION_BITS = 4
"""OpenCV takes coordinates in 1/16 of a dot."""


def frame_scale(frame: np.ndarray) -> float:
    """Pixels in one unit of length: 1/336 of the longer side of a frame or mask (H, W, ...)."""
    return max(*frame.shape[:2], SMALLEST_PX) / REFERENCE_PX


@dataclass(frozen=True)
class Target:
    """The largest connected part of a mask. Build it with `Target.of`."""

    mask: np.ndarray
    """(H, W) bool, the largest part alone."""
    contour: np.ndarray
    """(N, 2) its outer border, through the middle of the border pixels."""
    area_px: int

    @classmethod
    def of(cls, mask: np.ndarray) -> "Target":
        """The largest part of `mask` (H, W bool), 8-connected, by its number of pixels.

        Raises:
            ValueError: the mask is empty.
        """
        import cv2

        mask = np.ascontiguousarray(mask, bool)
        dots = mask.view(np.uint8)
        x, y, width, height = cv2.boundingRect(dots)
        contours, _ = cv2.findContours(
            dots[y : y + height, x : x + width],
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_NONE,
            offset=(x, y),
        )
        if not contours:
            raise ValueError("the mask is empty")
        if len(contours) == 1:
            return cls(mask, contours[0][:, 0] + 0.5, int(np.count_nonzero(mask)))
        # Labelling a whole 720p frame takes 6 ms; filling the few that can be largest takes a tenth of that.
        boxes = [cv2.boundingRect(contour) for contour in contours]
        area_px, best, part, place = 0, contours[0], dots, (0, 0)
        for index in sorted(range(len(boxes)), key=lambda i: (-boxes[i][2] * boxes[i][3], boxes[i])):
            x, y, width, height = boxes[index]
            if width * height <= area_px:
                break
            filled = np.zeros((height, width), np.uint8)
            cv2.drawContours(filled, [contours[index]], 0, 1, cv2.FILLED, offset=(-x, -y))
            filled &= dots[y : y + height, x : x + width]
            if (count := int(np.count_nonzero(filled))) > area_px:
                area_px, best, part, place = count, contours[index], filled, (x, y)
        largest = np.zeros_like(mask)
        largest[place[1] : place[1] + part.shape[0], place[0] : place[0] + part.shape[1]] = part
        return cls(largest, best[:, 0] + 0.5, area_px)

    @cached_property
    def box_xyxy(self) -> np.ndarray:
        """(4,) float x_min, y_min, x_max, y_max."""
        return np.concatenate([self.contour.min(axis=0) - 0.5, self.contour.max(axis=0) + 0.5])

    @property
    def size_wh(self) -> np.ndarray:
        """(2,) width and height of the frame."""
        return np.array(self.mask.shape[::-1], float)

    @cached_property
    def scale(self) -> float:
        """See `frame_scale`."""
        return frame_scale(self.mask)

    @cached_property
    def depths(self) -> tuple[np.ndarray, np.ndarray]:
        """Points inside the target (N, 2) and how far each is from its edge (N,), in pixels.

        Every pixel of a small target; a grid over a large one, where every pixel would cost milliseconds.
        """
        import cv2

        x0, y0, x1, y1 = self.box_xyxy.astype(int)
        step = max(1, math.isqrt(self.area_px) // 64)
        grid = np.pad(self.mask[y0:y1:step, x0:x1:step], 1).view(np.uint8)
        if not grid.any():  # thin enough to slip through the grid
            step, grid = 1, np.pad(self.mask[y0:y1, x0:x1], 1).view(np.uint8)
        depth = cv2.distanceTransform(grid, cv2.DIST_L2, 5)
        rows, columns = np.nonzero(grid)
        points = np.stack([columns - 1, rows - 1], axis=1) * step + (x0 + 0.5, y0 + 0.5)
        return points, depth[rows, columns].astype(float) * step - 0.5

    @cached_property
    def centre_xy(self) -> np.ndarray:
        """(2,) the point farthest from the edge; of nearly equal ones, that nearest to the middle."""
        points, depths = self.depths
        deep = points[depths >= 0.9 * depths.max()]
        return deep[np.argmin(((deep - points.mean(axis=0)) ** 2).sum(axis=1))]

    def inside_frame(self, points_xy: np.ndarray, margin_px: float | np.ndarray = 0.0) -> np.ndarray:
        """(N,) bool: which points are in the frame, at least `margin_px` (or that in x and y) from its edge."""
        inside = (points_xy >= margin_px) & (points_xy <= self.size_wh - margin_px)
        return np.asarray(inside.all(axis=-1))

    def ways_in(
        self,
        lengths_px: Sequence[float],
        head_px: float,
        gap_px: float,
        clear_px: float | np.ndarray,
        rng: np.random.Generator,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Lines that point at `centre_xy`, as tip (2,), unit vector from tip to tail (2,), length in pixels.

        First those that end `gap_px` before the target's edge, in random order, longer ones first. Last, for a target
        that fills the frame, some that end in its middle. Every tail, and every point `head_px` from a tip, is at
        least `clear_px` inside the frame.
        """
        angles = (np.arange(24) + rng.random()) * (2 * math.pi / 24)
        order = rng.permutation(24)
        units = np.stack([np.cos(angles), np.sin(angles)], axis=1)[order]
        corners = self.box_xyxy.reshape(2, 2) - self.centre_xy
        reach = np.arange(0.0, np.hypot(*np.abs(corners).max(axis=0)) + 1, max(1.0, self.scale / 2))
        dots = np.floor(self.centre_xy + units[:, None] * reach[:, None]).astype(int)
        last = np.array(self.mask.shape[::-1]) - 1
        columns, rows = np.moveaxis(np.clip(dots, 0, last), -1, 0)
        hit = self.mask[rows, columns] & (dots >= 0).all(axis=-1) & (dots <= last).all(axis=-1)
        tips = self.centre_xy + units * (np.where(hit, reach, 0).max(axis=1, keepdims=True) + gap_px + 1)
        middles, least_px = np.broadcast_to(self.centre_xy, tips.shape), min(lengths_px[-1], 0.4 * self.size_wh.min())
        for ends, length in [*((tips, length) for length in lengths_px), (middles, least_px)]:
            heads, tails = ends + units * min(head_px, length), ends + units * length
            for way in np.flatnonzero(self.inside_frame(heads, clear_px) & self.inside_frame(tails, clear_px)):
                yield ends[way], units[way], length


@dataclass
class Ink:
    """One mark: lines and filled polygons in one colour, with a rim around them. Nothing is drawn before `paint`."""

    target: Target
    casing: float = CASING
    """Width of the rim in 1/336 of the longer side; 0 for none."""
    lines: list[tuple[np.ndarray, float, bool]] = field(default_factory=list)
    fills: list[np.ndarray] = field(default_factory=list)

    def line(self, points_xy: np.ndarray, width_px: float, closed: bool = False) -> "Ink":
        """Add a line through (N, 2) points."""
        self.lines.append((points_xy, width_px, closed))
        return self

    def fill(self, points_xy: np.ndarray) -> "Ink":
        """Add a filled polygon of (N, 2) corners."""
        self.fills.append(points_xy)
        return self

    @property
    def casing_px(self) -> float:
        """Width of the rim in pixels."""
        return self.casing * self.target.scale

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that the mark can touch."""
        reach = [(points, width / 2) for points, width, _ in self.lines]
        reach += [(points, 0.0) for points in self.fills]
        low = np.min([points.min(axis=0) - half for points, half in reach], axis=0)
        high = np.max([points.max(axis=0) + half for points, half in reach], axis=0)
        x0, y0 = np.clip(low - self.casing_px - 2, 0, self.target.size_wh).astype(int)
        x1, y1 = np.clip(high + self.casing_px + 3, 0, self.target.size_wh).astype(int)
        return slice(y0, y1), slice(x0, x1)

    @cached_property
    def layers(self) -> tuple[np.ndarray, np.ndarray]:
        """Coverage of the window (h, w uint8) by the mark alone, and by the mark with its rim."""
        body = self._coverage(0.0)
        return body, self._coverage(self.casing_px) if self.casing else body

    def _coverage(self, grow_px: float) -> np.ndarray:
        import cv2

        rows, columns = self.window
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height <= 0 or width <= 0:
            return np.zeros((0, 0), np.uint8)
        zoom = min(4, max(1, round(FINEST_PX / max(self.target.mask.shape))))
        dots = np.zeros((height * zoom, width * zoom), np.uint8)

        def fixed(points: np.ndarray) -> np.ndarray:
            spots = (points - (columns.start, rows.start)) * zoom - 0.5
            return np.round(spots * 2**FRACTION_BITS).astype(np.int32)

        def trace(points: np.ndarray, width_px: float, closed: bool) -> None:
            thick = _thickness(width_px * zoom)
            cv2.polylines(dots, [fixed(points)], closed, 255, thick, cv2.LINE_AA, FRACTION_BITS)

        for points in self.fills:
            cv2.fillPoly(dots, [fixed(points)], 255, cv2.LINE_AA, FRACTION_BITS)
            if grow_px:
                trace(points, 2 * grow_px, True)
        for points, width_px, closed in self.lines:
            trace(points, width_px + 2 * grow_px, closed)
        if zoom == 1:
            return dots
        return cv2.resize(dots, (width, height), interpolation=cv2.INTER_AREA)

    @cached_property
    def hidden_share(self) -> float:
        """Share of the target's pixels that the mark changes; infinite for a mark that is out of the frame."""
        touched = self.layers[1] > 0
        if not touched.any():
            return math.inf
        return np.count_nonzero(touched & self.target.mask[self.window]) / self.target.area_px

    def paint(self, canvas: np.ndarray, colour: RGB) -> None:
        """Lay the mark onto `canvas` (H, W, 3 uint8 RGB), in place."""
        if canvas.shape != (*self.target.mask.shape, 3):
            raise ValueError(f"a mask of {self.target.mask.shape} does not fit a canvas of {canvas.shape}")
        body, cased = self.layers
        spots = np.flatnonzero(cased > 0)
        rows, columns = self.window
        row = spots // max(1, cased.shape[1])
        places = (row + rows.start) * canvas.shape[1] + spots - row * cased.shape[1] + columns.start
        frame = np.ascontiguousarray(canvas)
        # One colour channel at a time: numpy indexes and blends long rows several times faster than pixels of 3.
        channels = frame.reshape(-1, 3).T
        pixels = np.stack([channel[places] for channel in channels]).astype(np.uint16)
        if self.casing:
            opacity = cased.ravel()[spots].astype(np.uint16) * CASING_OPACITY // 255
            pixels = _blend(pixels, opposite(colour), opacity)
        pixels = _blend(pixels, colour, body.ravel()[spots].astype(np.uint16))
        for channel, values in zip(channels, pixels, strict=True):
            channel[places] = values
        if frame is not canvas:
            canvas[...] = frame


def _thickness(width_dots: float) -> int:
    """What to ask OpenCV for: its smooth lines come out 1.4, 3.4, 5.4, 7.4 wide for 1, 2, 3, 5."""
    if width_dots < 2.4:
        return 1
    return max(2, 2 * round((width_dots - 3.4) / 2) + 1)


def _blend(pixels: np.ndarray, colour: RGB, opacity: np.ndarray) -> np.ndarray:
    """`colour` over pixels (3, N) at opacity (N,) of 255, all uint16, rounded to nearest without a division."""
    mixed = pixels * (255 - opacity) + np.array(colour, np.uint16)[:, None] * opacity + 128
    return (mixed + (mixed >> 8)) >> 8


def least_hiding(marks: Iterable[Ink], enough: float) -> Ink:
    """The first mark that hides at most the share `enough` of its target, else the one that hides least."""
    best: Ink | None = None
    for mark in marks:
        if best is None or mark.hidden_share < best.hidden_share:
            best = mark
        if best.hidden_share <= enough:
            break
    if best is None:
        raise ValueError("no mark to choose from")
    return best


def round_path(centre_xy: np.ndarray, radii_xy: np.ndarray | float, count: int = 64) -> np.ndarray:
    """(count, 2) an ellipse, or a circle for one radius."""
    angles = np.arange(count) * (2 * math.pi / count)
    return centre_xy + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii_xy


def spaced(points_xy: np.ndarray, step_px: float) -> np.ndarray:
    """(M, 2) points about `step_px` apart along the closed path through (N, 2) points."""
    ring = np.concatenate([points_xy, points_xy[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    wanted = np.linspace(0.0, along[-1], max(4, round(along[-1] / step_px)), endpoint=False)
    return np.stack([np.interp(wanted, along, ring[:, axis]) for axis in (0, 1)], axis=1)
