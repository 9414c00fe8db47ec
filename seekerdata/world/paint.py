"""Paint: one frame of a scene and the exact pixels each thing shows in it. What is painted and what the masks say
come from the same layers, so they cannot disagree."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from seekerdata.world import sprites
from seekerdata.world.scene import Look, Scene

NOBODY = 255
PARTS = 4
"""Things are placed to this fraction of a pixel, so that a shifted sprite can be used again."""

Spec = tuple[Any, ...]
"""A sprite by name: a function of `sprites` and its arguments."""


@dataclass(frozen=True)
class Layer:
    """A piece of a frame with its corner (x, y): colour times alpha and 255 - alpha, both (h, w, 3) uint8, and whose
    it is."""

    colour: np.ndarray
    rest: np.ndarray
    x: int
    y: int
    owner: int = NOBODY


def frame_rgb(scene: Scene, frame: int) -> np.ndarray:
    """Frame number `frame` as (H, W, 3) uint8 RGB."""
    import cv2

    canvas = backdrop(scene.size_wh, scene.texture, scene.plain).copy()
    for layer in layers(scene, frame):
        height, width = layer.colour.shape[:2]
        area = canvas[layer.y : layer.y + height, layer.x : layer.x + width]
        cv2.add(cv2.multiply(area, layer.rest, scale=1 / 255), layer.colour, dst=area)
    return canvas


def owners(scene: Scene, frame: int) -> np.ndarray:
    """Whose pixel each is: (H, W) uint8, the thing's number or `NOBODY`. Only what is visible counts."""
    width, height = scene.size_wh
    label = np.full((height, width), NOBODY, np.uint8)
    for layer in layers(scene, frame):
        rows, columns = layer.rest.shape[:2]
        area = label[layer.y : layer.y + rows, layer.x : layer.x + columns]
        area[layer.rest[..., 0] < 128] = layer.owner
    return label


def layers(scene: Scene, frame: int) -> Iterator[Layer]:
    """Everything that is painted on the backdrop, from back to front."""
    looks = [scene.look(who, frame) for who in range(len(scene.things))]
    for thing, look in zip(scene.things, looks, strict=True):
        if not scene.plain:
            down = (1.35 if thing.shape == "person" else 1.05) * thing.radius_px + look.lift_px
            yield from _placed(scene, ("shadow", thing.radius_px), (look.xy[0], look.xy[1] + down))
    for who, (thing, look) in enumerate(zip(scene.things, looks, strict=True)):
        for layer in _placed(scene, _spec(scene, who, look), look.xy, look):
            yield replace(layer, owner=who)
        for name, colour, dx, dy, angle in look.extras:
            spot = (look.xy[0] + dx * thing.radius_px, look.xy[1] + dy * thing.radius_px)
            yield from _placed(
                scene,
                ("extra", name, colour, thing.radius_px),
                spot,
                Look(spot, colour, angle_deg=angle),
            )


def _spec(scene: Scene, who: int, look: Look) -> Spec:
    thing = scene.things[who]
    if thing.shape == "person":
        clothes = (look.colour, thing.trousers, thing.hair)
        return ("person", *clothes, thing.radius_px, look.step, look.raised, look.face)
    return ("body", thing.shape, look.colour, thing.radius_px, look.face, scene.plain)


def _placed(scene: Scene, spec: Spec, xy: tuple[float, float], look: Look | None = None) -> Iterator[Layer]:
    """The sprite with its centre at `xy`, turned, scaled and faded as the look says, cut to the frame."""
    if scene.plain:  # whole pixels: the same thing is the same picture everywhere
        xy = (float(round(xy[0])), float(round(xy[1])))
    x, y = (int(np.floor(v * PARTS)) for v in xy)
    if look is None or (look.scale == 1 and look.angle_deg == 0 and look.opacity == 1):
        layer = _shifted(spec, x % PARTS, y % PARTS)
    elif look.opacity <= 0:
        return
    else:
        layer = _warped(spec, x % PARTS, y % PARTS, look.scale, look.angle_deg, look.opacity)
    left, top = layer.x + x // PARTS, layer.y + y // PARTS
    width, height = scene.size_wh
    x0, y0 = max(left, 0), max(top, 0)
    rows = slice(y0 - top, min(height - top, layer.rest.shape[0]))
    columns = slice(x0 - left, min(width - left, layer.rest.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        yield Layer(layer.colour[rows, columns], layer.rest[rows, columns], x0, y0)


@lru_cache(maxsize=512)
def _shifted(spec: Spec, part_x: int, part_y: int) -> Layer:
    return _warped(spec, part_x, part_y, 1.0, 0.0, 1.0)


def _warped(spec: Spec, part_x: int, part_y: int, scale: float, angle_deg: float, opacity: float) -> Layer:
    """The sprite around the origin plus a fraction of a pixel, cut to what can be seen of it."""
    import cv2

    sprite = getattr(sprites, spec[0])(*spec[1:])
    half = int(np.ceil(sprite.shape[0] / 2 * max(scale, 1.0) * (1.42 if angle_deg else 1.0))) + 1
    middle = (sprite.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), angle_deg, scale)
    matrix[:, 2] += half - 0.5 - middle + np.array([part_x, part_y]) / PARTS
    picture = cv2.warpAffine(sprite, matrix, (2 * half, 2 * half))
    if opacity < 1:
        picture = (picture * opacity).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(picture[..., 3])
    picture = picture[y : y + height, x : x + width]
    rest = np.repeat(255 - picture[..., 3:], 3, axis=2)
    return Layer(np.ascontiguousarray(picture[..., :3]), rest, x - half, y - half)


@lru_cache(maxsize=4)
def backdrop(size_wh: tuple[int, int], texture: int, plain: bool) -> np.ndarray:
    """The ground (H, W, 3): two quiet colours flowing into each other, with a little grain. Read-only."""
    import cv2

    rng = np.random.default_rng(texture)
    width, height = size_wh
    if plain:
        shade = 28 + 24 * rng.random()
        canvas = np.full((height, width, 3), shade) + rng.normal(0, 2, (height, width, 1))
        return np.clip(canvas, 0, 255).astype(np.uint8)
    light, dark = (np.array(colour) for colour in GROUNDS[int(rng.integers(len(GROUNDS)))])
    clouds = np.zeros((height, width), np.float32)
    for cells, weight in ((3, 1.0), (7, 0.6), (17, 0.3), (41, 0.12)):
        coarse = rng.random((cells, max(2, cells * width // height))).astype(np.float32)
        clouds += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    grain = rng.normal(0, 1.2, (height, width, 1))
    ground = light * clouds[..., None] + dark * (1 - clouds[..., None]) + grain
    return np.clip(ground, 0, 255).astype(np.uint8)


GROUNDS = (
    ((176, 186, 150), (128, 146, 112)),
    ((205, 190, 160), (168, 148, 120)),
    ((170, 182, 196), (122, 134, 152)),
    ((192, 176, 190), (146, 128, 148)),
    ((150, 160, 164), (102, 112, 120)),
)
"""Quiet pairs: meadow, sand, lake, heath, stone. None is near a colour that things have."""
