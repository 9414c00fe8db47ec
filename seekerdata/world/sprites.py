"""Sprites: small pictures of things, drawn large and shrunk, so that edges are smooth and alpha is exact.

A sprite is (S, S, 4) uint8 RGBA with colour already multiplied by alpha; its anchor is the centre.
"""

from functools import lru_cache

import numpy as np

from seekerdata.world.level import COLOURS

SCALE = 4
PERSON_REACH = 1.55
INK = (38, 34, 46)
RGB = tuple[int, int, int]
SKIN: RGB = (240, 200, 165)
HAIR: dict[str, RGB] = {"brown": (95, 60, 35), "black": (35, 32, 38), "blond": (225, 190, 100)}
SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc",
    "5": "afgcd", "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "gfabcd",
}  # fmt: skip
SEGMENT_ENDS = {
    "a": (-1, -2, 1, -2), "b": (1, -2, 1, 0), "c": (1, 0, 1, 2), "d": (-1, 2, 1, 2),
    "e": (-1, 0, -1, 2), "f": (-1, -2, -1, 0), "g": (-1, 0, 1, 0),
}  # fmt: skip
PIPS = {
    1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)],
    4: [(-1, -1), (1, -1), (-1, 1), (1, 1)], 5: [(-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1)],
    6: [(-1, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (1, 1)],
}  # fmt: skip


def outline(shape: str) -> np.ndarray:
    """Corner points (N, 2) of a shape of radius about 1 around the origin."""
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    if shape == "circle":
        return np.stack([np.sin(turn), -np.cos(turn)], 1)
    if shape == "heart":
        x = 16 * np.sin(turn) ** 3
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return np.stack([x, -y - 2.5], 1) / 15.5
    if shape == "moon":
        outer, inner = turn[:54] + np.pi / 4, turn[:54][::-1] + np.pi / 4
        a = np.stack([np.sin(outer), -np.cos(outer)], 1)
        return np.concatenate([a, np.stack([np.sin(inner) * 0.72 + 0.38, -np.cos(inner) * 0.78 - 0.38], 1)])
    if shape == "star":
        reach = np.where(np.arange(10) % 2, 0.52, 1.18)
        turn = np.arange(10) * np.pi / 5
        return np.stack([np.sin(turn), -np.cos(turn)], 1) * reach[:, None] + [0, 0.06]
    corners, start, size, down = POLYGONS[shape]
    turn = np.arange(corners) * 2 * np.pi / corners + start
    return np.stack([np.sin(turn), -np.cos(turn)], 1) * size + [0, down]


POLYGONS = {
    "square": (4, np.pi / 4, 1.22, 0.0),
    "triangle": (3, 0.0, 1.3, 0.22),
    "hexagon": (6, 0.0, 1.06, 0.0),
    "diamond": (4, 0.0, 1.2, 0.0),
}
"""Corners, first corner's angle, radius, shift down."""


class Pen:
    """Draws in units of the thing's radius on a large canvas around its centre."""

    def __init__(self, radius_px: float, reach: float = 1.35, zoom: float = 1.0) -> None:
        self.half = int(np.ceil(reach * radius_px)) + 2
        self.unit = radius_px * SCALE * zoom
        self.big = np.zeros((2 * self.half * SCALE, 2 * self.half * SCALE, 4), np.uint8)

    def _xy(self, points: np.ndarray) -> np.ndarray:
        return np.round(np.asarray(points, float) * self.unit + self.half * SCALE - 0.5).astype(np.int32)

    def fill(self, points: np.ndarray, rgb: RGB) -> None:
        import cv2

        cv2.fillPoly(self.big, [self._xy(points)], (*rgb, 255))

    def line(self, points: list[tuple[float, float]], width: float, rgb: RGB) -> None:
        import cv2

        thickness = max(1, round(width * self.unit))
        cv2.polylines(self.big, [self._xy(np.array(points))], False, (*rgb, 255), thickness)

    def disc(self, x: float, y: float, radius: float, rgb: RGB, squash: float = 1.0) -> None:
        self.fill(outline("circle") * [radius, radius * squash] + [x, y], rgb)

    def sprite(self, shaded: bool = False) -> np.ndarray:
        import cv2

        big = self.big
        if shaded:  # lighter above, darker below
            light = np.linspace(1.16, 0.86, big.shape[0], dtype=np.float32)[:, None, None]
            big = big.copy()
            big[..., :3] = np.clip(big[..., :3] * light, 0, 255).astype(np.uint8)
        return cv2.resize(big, (2 * self.half, 2 * self.half), interpolation=cv2.INTER_AREA)


def darker(rgb: RGB, share: float = 0.62) -> RGB:
    return tuple(int(c * share) for c in rgb)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def body(shape: str, colour: str, radius_px: float, face: str, plain: bool) -> np.ndarray:
    """A thing seen from the front: its shape, and eyes or what is shown on its face."""
    pen = Pen(radius_px)
    rgb = COLOURS[colour]
    if plain:
        pen.fill(outline(shape), rgb)
        return pen.sprite()
    pen.fill(outline(shape), darker(rgb))
    pen.fill(outline(shape) * 0.88 + [0, 0.01], rgb)
    sprite = pen.sprite(shaded=True)
    top = Pen(radius_px)
    _eyes(top) if not face else _plaque(top, face)
    return over(sprite, top.sprite())


def over(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Two sprites of one size, one on the other."""
    rest = 255 - above[..., 3:].astype(np.uint16)
    return (above + (below * rest + 127) // 255).astype(np.uint8)


def _eyes(pen: Pen) -> None:
    for x in (-0.3, 0.3):
        pen.disc(x, -0.06, 0.2, (255, 255, 255), 1.25)
        pen.disc(x + 0.03, -0.02, 0.1, INK, 1.2)
    turn = np.linspace(0.25, np.pi - 0.25, 12)
    pen.line([(0.26 * np.cos(a), 0.34 + 0.13 * np.sin(a)) for a in turn], 0.07, INK)


def _plaque(pen: Pen, face: str) -> None:
    """`face` is a digit, `dots/<n>` or the name of a symbol."""
    pen.disc(0, 0.05, 0.7, (252, 252, 248))
    if face in SEGMENTS:
        for segment in SEGMENTS[face]:
            x0, y0, x1, y1 = SEGMENT_ENDS[segment]
            pen.line([(x0 * 0.23, y0 * 0.22 + 0.05), (x1 * 0.23, y1 * 0.22 + 0.05)], 0.15, INK)
    elif face.startswith("dots/"):
        for x, y in PIPS[int(face[5:])]:
            pen.disc(x * 0.3, y * 0.33 + 0.05, 0.13, INK)
    elif face == "cross":
        pen.line([(-0.33, 0.05), (0.33, 0.05)], 0.24, INK)
        pen.line([(0, -0.28), (0, 0.38)], 0.24, INK)
    elif face == "ring":
        pen.disc(0, 0.05, 0.42, INK)
        pen.disc(0, 0.05, 0.22, (252, 252, 248))
    elif face == "bolt":
        points = np.array([(0.12, -1), (-0.6, 0.15), (-0.05, 0.15), (-0.12, 1), (0.6, -0.2), (0.05, -0.2)])
        pen.fill(points * 0.46 + [0, 0.05], INK)
    else:
        pen.fill(outline(face) * 0.42 + [0, 0.05], INK)


@lru_cache(maxsize=256)
def person(shirt: str, trousers: str, hair: str, radius_px: float, step: int, raised: bool, face: str) -> np.ndarray:
    """A person seen from the front, walking; `step` 0-7 swings legs and arms, `raised` lifts the right-hand arm."""
    pen = Pen(radius_px, PERSON_REACH)
    swing = 0.24 * np.sin(step * np.pi / 4)
    for side in (-1, 1):
        foot = (side * 0.16 + side * swing, 1.32 - 0.07 * max(0.0, side * swing * 4))
        pen.line([(side * 0.15, 0.45), (side * 0.17, 0.9), foot], 0.27, COLOURS[trousers])
        pen.disc(foot[0] + 0.04, foot[1] + 0.04, 0.16, INK, 0.6)
    hand = (0.62, -0.62) if raised else (0.52 - swing, 0.42)
    for points in (
        [(0.32, -0.24), (0.5, 0.0 if not raised else -0.2), hand],
        [(-0.32, -0.24), (-0.5, 0.0), (-0.52 + swing, 0.42)],
    ):
        pen.line(points, 0.2, darker(COLOURS[shirt], 0.8))
        pen.disc(points[-1][0], points[-1][1], 0.12, SKIN)
    torso = [(-0.4, -0.34), (0.4, -0.34), (0.33, 0.55), (-0.33, 0.55)]
    pen.fill(np.array(torso), COLOURS[shirt])
    pen.disc(0, -0.8, 0.4, HAIR[hair])
    pen.disc(0, -0.74, 0.33, SKIN)
    pen.fill(
        np.array([(-0.36, -0.82), (-0.2, -1.12), (0.2, -1.12), (0.36, -0.82), (0, -0.95)]),
        HAIR[hair],
    )
    for x in (-0.12, 0.12):
        pen.disc(x, -0.72, 0.05, INK)
    if not face:
        return pen.sprite()
    sign = Pen(radius_px, PERSON_REACH, zoom=0.68)
    _plaque(sign, face)
    return over(pen.sprite(), sign.sprite())


@lru_cache(maxsize=128)
def extra(name: str, colour: str, radius_px: float) -> np.ndarray:
    """Something worn, held up or flying by; it belongs to nobody's mask."""
    pen = Pen(radius_px, 1.4)
    rgb = COLOURS[colour]
    EXTRAS[name](pen, rgb)
    return pen.sprite()


def _crown(pen: Pen, rgb: RGB) -> None:
    points = [
        (-0.5, 0.3),
        (-0.6, -0.35),
        (-0.25, 0.0),
        (0, -0.5),
        (0.25, 0.0),
        (0.6, -0.35),
        (0.5, 0.3),
    ]
    pen.fill(np.array(points) * 1.12, INK)
    pen.fill(np.array(points), (250, 205, 40))


def _ball(pen: Pen, rgb: RGB) -> None:
    pen.fill(np.array([(0, -0.2), (1.3, 0), (0, 0.2)]), (205, 205, 215))
    pen.disc(0, 0, 0.32, INK)
    pen.disc(0, 0, 0.26, (250, 250, 250))


def _card(pen: Pen, rgb: RGB) -> None:
    box = np.array([(-0.5, -0.42), (0.5, -0.42), (0.5, 0.42), (-0.5, 0.42)])
    pen.fill(box * 1.14, INK)
    pen.fill(box, rgb)


def _flag(pen: Pen, rgb: RGB) -> None:
    pen.line([(0, 0.75), (0, -0.75)], 0.1, INK)
    pen.fill(np.array([(0.03, -0.75), (0.85, -0.42), (0.03, -0.08)]), rgb)


def _big_ball(pen: Pen, rgb: RGB) -> None:
    pen.disc(0, 0, 0.46, INK)
    pen.disc(0, 0, 0.39, rgb)
    pen.line([(-0.36, 0), (0.36, 0)], 0.07, INK)


def _umbrella(pen: Pen, rgb: RGB) -> None:
    pen.line([(0, -0.4), (0, 0.7)], 0.1, INK)
    turn = np.linspace(np.pi, 2 * np.pi, 24)
    pen.fill(np.stack([np.cos(turn) * 0.8, np.sin(turn) * 0.6 - 0.05], 1), rgb)


def _hammer(pen: Pen, rgb: RGB) -> None:
    pen.line([(0, 0.75), (0, -0.5)], 0.14, (120, 80, 45))
    pen.fill(np.array([(-0.5, -0.72), (0.5, -0.72), (0.5, -0.3), (-0.5, -0.3)]), INK)


def _star(pen: Pen, rgb: RGB) -> None:
    pen.line([(0, 0.75), (0, 0.1)], 0.1, INK)
    pen.fill(outline("star") * 0.5 + [0, -0.2], rgb)


EXTRAS = {
    "crown": _crown, "ball": _ball, "card": _card, "flag": _flag, "big_ball": _big_ball,
    "umbrella": _umbrella, "hammer": _hammer, "star": _star,
}  # fmt: skip


@lru_cache(maxsize=64)
def shadow(radius_px: float) -> np.ndarray:
    """A soft dark spot on the ground."""
    half = int(np.ceil(1.6 * radius_px)) + 2
    y, x = np.mgrid[-half:half, -half:half] + 0.5
    away = np.hypot(x / (0.95 * radius_px), y / (0.3 * radius_px))
    alpha = (90 * np.clip(1.5 - away, 0, 1)).astype(np.uint8)
    return np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha])
