"""Colour: which of the nine a mark gets. Never one that much of the target or of its surroundings already has."""

import math

import numpy as np

from seekerdata.visual_prompt import COLOURS

RGB = tuple[int, int, int]

NEAR = 45.0
"""CIELAB distance below which a pixel is taken for the mark's colour."""
VIVID = 30.0
"""CIELAB chroma from which a pixel has a hue that people would name; skin and wood mostly lie below."""
SAME_HUE_DEG = 35.0
"""Vivid pixels this close in hue are alike, however dark: a maroon coat is a red coat. By the hue of HSV, because
in CIELAB a sky blue lies nearer to aqua than to blue."""
TOLERANCE = 0.08
"""How much more of the picture may be alike than for the best colour, so that the draw stays wide."""
AROUND = 1 / 28
"""How far the surroundings reach, as a share of the frame's longer side."""
SAMPLES_A_SIDE = 48


def opposite(colour: RGB) -> RGB:
    """Black for a light colour, white for a dark one: for rims, and for digits on a badge."""
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (0, 0, 0) if luma > 127 else (255, 255, 255)


def contrasting_colour(frame: np.ndarray, region_mask: np.ndarray, rng: np.random.Generator) -> str:
    """The name of a colour in `COLOURS` that stands out in a region and its surroundings.

    A random one of those that few pixels are alike to, so that over many frames all colours are used.

    Args:
        frame: (H, W, 3) uint8 RGB.
        region_mask: (H, W) bool, not empty: the target, or all that a mark will touch.
    """
    names = list(COLOURS)
    inside, around = _samples(frame, region_mask)
    marks = np.array([COLOURS[name] for name in names], np.uint8)
    alike = np.maximum(_alike(inside, marks), _alike(around, marks))
    good = np.flatnonzero(alike <= alike.min() + TOLERANCE)
    return names[int(rng.choice(good))]


def lab(pixels: np.ndarray) -> np.ndarray:
    """(N, 3) CIELAB (white D65) of (N, 3) uint8 sRGB pixels."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    ratios = linear[pixels] @ to_xyz.T / to_xyz.sum(axis=1)
    roots = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    x, y, z = roots.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _samples(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 3) of the region, and of the rest of the box around it; the region's again if it fills its box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    reach = math.ceil(AROUND * max(mask.shape))
    box = (
        slice(max(0, rows[0] - reach), rows[-1] + 1 + reach),
        slice(max(0, columns[0] - reach), columns[-1] + 1 + reach),
    )
    whole = mask[box]
    step = max(1, max(whole.shape) // SAMPLES_A_SIDE)
    grid = whole[::step, ::step]
    around = frame[box][::step, ::step][~grid]
    inside = frame[box][::step, ::step][grid]
    if not inside.size:  # thin enough to slip through the grid
        inside = frame[box][whole]
    return inside, around if around.size else inside


def _alike(pixels: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """(M,) share of the pixels (N, 3 uint8 RGB) that are alike to each mark (M, 3 uint8 RGB)."""
    pixels_lab, marks_lab = lab(pixels), lab(marks)
    near = ((pixels_lab[:, None] - marks_lab) ** 2).sum(axis=2) < NEAR**2
    turn = np.abs((_hue_deg(pixels)[:, None] - _hue_deg(marks) + 180) % 360 - 180)
    vivid = np.hypot(pixels_lab[:, 1], pixels_lab[:, 2])[:, None] > VIVID
    return (near | (vivid & (turn < SAME_HUE_DEG))).mean(axis=0)


def _hue_deg(pixels: np.ndarray) -> np.ndarray:
    """(N,) hue of (N, 3) RGB, 0 red, 120 green, 240 blue."""
    red, green, blue = pixels.astype(float).T
    return np.degrees(np.arctan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
