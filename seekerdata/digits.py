"""Digits: our own ten figures for set-of-mark, as strokes, because OpenCV's text differs between versions.

A figure is 1 unit tall and at most 0.6 wide, with y downwards; strokes are drawn with round ends at any size.
"""

import math

import numpy as np

HEIGHT = 1.0
"""Of every figure, in units."""
ADVANCE = 0.86
"""From the left of one figure to the left of the next, in units."""


def digits(number: int) -> tuple[list[np.ndarray], float]:
    """The strokes of a number, each (N, 2) x, y in units from its upper left corner, and the number's width.

    Raises:
        ValueError: the number is negative.
    """
    if number < 0:
        raise ValueError(f"no figures for {number}: a mark's number is not negative")
    strokes, left = [], 0.0
    for character in str(number):
        figure = [np.array(stroke) for stroke in _figure(character)]
        low = min(stroke[:, 0].min() for stroke in figure)
        width = max(stroke[:, 0].max() for stroke in figure) - low
        strokes += [stroke + np.array([left - low, 0.0]) for stroke in figure]
        left += width + (ADVANCE - 0.6)
    return strokes, left - (ADVANCE - 0.6)


def _arc(
    x: float, y: float, radius_x: float, radius_y: float, start_deg: float, stop_deg: float
) -> list[tuple[float, float]]:
    """Points from angle to angle, clockwise on the screen from the right when they grow."""
    count = max(2, round(abs(stop_deg - start_deg) / 12)) + 1
    angles = [math.radians(start_deg + (stop_deg - start_deg) * i / (count - 1)) for i in range(count)]
    return [(x + radius_x * math.cos(a), y + radius_y * math.sin(a)) for a in angles]


def _figure(character: str) -> list[list[tuple[float, float]]]:
    """The strokes of one figure."""
    if character == "0":
        return [_arc(0.3, 0.5, 0.3, 0.5, 0, 360)]
    if character == "1":
        return [[(0.04, 0.24), (0.34, 0.0), (0.34, 1.0)]]
    if character == "2":
        return [[*_arc(0.3, 0.29, 0.28, 0.29, -170, 35), (0.02, 1.0), (0.6, 1.0)]]
    if character == "3":
        upper = _arc(0.28, 0.25, 0.26, 0.25, -155, 90)
        return [upper + _arc(0.28, 0.74, 0.3, 0.26, -90, 155)]
    if character == "4":
        return [[(0.44, 1.0), (0.44, 0.0), (0.0, 0.7), (0.62, 0.7)]]
    if character == "5":
        return [[(0.55, 0.0), (0.1, 0.0), (0.06, 0.46), *_arc(0.27, 0.68, 0.31, 0.32, -125, 150)]]
    if character == "6":
        stem = _arc(0.55, 0.68, 0.55, 0.68, -100, -180)
        return [stem + _arc(0.3, 0.7, 0.3, 0.3, -180, 180)]
    if character == "7":
        return [[(0.0, 0.0), (0.58, 0.0), (0.2, 1.0)]]
    if character == "8":
        return [_arc(0.3, 0.25, 0.25, 0.25, 0, 360), _arc(0.3, 0.74, 0.3, 0.26, 0, 360)]
    # A nine is a six upside down.
    return [[(0.6 - x, 1.0 - y) for x, y in stroke] for stroke in _figure("6")]
