"""The eight shapes: golden images, what they hide, where they are; colours and digits.

`tests/golden/shapes/<shape>.png` holds what each shape draws on four targets, side by side, and must match to the bit
on every OpenCV version. After a change that is meant, look at the new images: `make golden` (which sets
SEEKER_GOLDEN=write) writes them instead of comparing, and `git diff` shows what changed.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seekerdata.colour import contrasting_colour, lab
from seekerdata.digits import digits
from seekerdata.drawing import Target, frame_scale
from seekerdata.instance import mask_box
from seekerdata.plugin import load, names
from seekerdata.visual_prompt import COLOURS, SHAPES, Shape

GOLDEN = Path(__file__).parents[1] / "golden" / "shapes"
MOST_HIDDEN = {
    "rectangle": 0.15,
    "mask_contour": 0.15,
    "ellipse": 0.18,
    "triangle": 0.05,
    "scribble": 0.25,
    "point": 0.2,
    "arrow": 0.05,
    "set_of_mark": 0.15,
}
"""The stated shares: of all targets from 3 pixels to the whole frame, on frames from 56 x 56."""


def shape(name: str) -> Shape:
    made = load("shapes", name)()
    assert isinstance(made, Shape)
    return made


def marked(name: str, frame: np.ndarray, mask: np.ndarray, seed: int = 0, number: int = 3) -> np.ndarray:
    canvas = frame.copy()
    shape(name).draw(canvas, mask, COLOURS["red"], np.random.default_rng(seed), number)
    return canvas


def changed(name: str, mask: np.ndarray, seed: int = 0, number: int = 3) -> np.ndarray:
    """(H, W) bool: the pixels that a mark changes on a grey frame, where no mark has the frame's colour."""
    drawn = marked(name, np.full((*mask.shape, 3), 110, np.uint8), mask, seed, number)
    return (drawn[..., 0] != 110) | (drawn[..., 1] != 110) | (drawn[..., 2] != 110)


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def box(height: int, width: int, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """A box with corners given as shares of the frame, at least a pixel wide."""
    mask = np.zeros((height, width), bool)
    left, top = int(x0 * width), int(y0 * height)
    mask[top : max(top + 1, int(y1 * height)), left : max(left + 1, int(x1 * width))] = True
    return mask


def dots(height: int, width: int, *rows_columns: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    for row, column in rows_columns:
        mask[row, column] = True
    return mask


MASKS: dict[str, Callable[[int, int], np.ndarray]] = {
    "3 px": lambda h, w: dots(h, w, *((h // 2, w // 2 + i) for i in range(3))),
    "3 px in the corner": lambda h, w: dots(h, w, (0, 0), (0, 1), (1, 0)),
    "3 px at the right": lambda h, w: dots(h, w, *((h // 2 + i, w - 1) for i in range(3))),
    "tiny": lambda h, w: disc(h, w, w * 0.4, h * 0.6, min(h, w) * 0.03),
    "small": lambda h, w: disc(h, w, w * 0.6, h * 0.4, min(h, w) * 0.08),
    "middle": lambda h, w: disc(h, w, w / 2, h / 2, min(h, w) * 0.2),
    "large": lambda h, w: disc(h, w, w / 2, h / 2, min(h, w) * 0.45),
    "corner": lambda h, w: disc(h, w, 0, h - 1, min(h, w) * 0.2),
    "bottom": lambda h, w: box(h, w, 0.2, 0.4, 0.8, 1),
    "left half": lambda h, w: box(h, w, 0, 0, 0.5, 1),
    "nearly all": lambda h, w: box(h, w, 0.03, 0.03, 0.97, 0.97),
    "all": lambda h, w: np.ones((h, w), bool),
    "tall": lambda h, w: box(h, w, 0.45, 0.05, 0.55, 0.95),
    "across": lambda h, w: box(h, w, 0, 0.5, 1, 0.7),
    "hairline": lambda h, w: box(h, w, 0.2, 0.5, 0.8, 0.5),
    "hairline across": lambda h, w: box(h, w, 0.5, 0, 0.5, 1),
    "diagonal": lambda h, w: np.eye(h, w, dtype=bool),
    "ring": lambda h, w: disc(h, w, w / 2, h / 2, min(h, w) * 0.3) & ~disc(h, w, w / 2, h / 2, min(h, w) * 0.25),
    "horseshoe": lambda h, w: disc(h, w, w / 2, h / 2, min(h, w) * 0.3) & ~box(h, w, 0.5, 0.35, 1, 0.65),
    "two": lambda h, w: disc(h, w, w * 0.3, h / 2, min(h, w) * 0.1) | disc(h, w, w * 0.7, h / 2, min(h, w) * 0.05),
    "specks": lambda h, w: np.random.default_rng(1).random((h, w)) < 0.3,
}
SIZES = {"56x56": (56, 56), "320x240": (240, 320), "240x427": (427, 240), "1280x720": (720, 1280)}


@cache
def masked(kind: str, size: str) -> tuple[np.ndarray, Target]:
    mask = MASKS[kind](*SIZES[size])
    return mask, Target.of(mask)


def test_every_shape_is_one_file_with_a_phrase() -> None:
    assert names("shapes") == sorted(SHAPES)
    assert all(shape(name).phrase.startswith("the target ") for name in SHAPES)
    assert shape("set_of_mark").phrase.format(number=4) == "the target marked with number 4"


def scene() -> np.ndarray:
    """(120, 160, 3) uint8: smooth colours with some texture, in whole numbers only."""
    y, x = np.mgrid[:120, :160]
    red, green, blue = 60 + x, 200 - y, (x * y // 37) % 90 + 80 + 40 * ((x // 20 + y // 20) % 2)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


@pytest.mark.parametrize("name", SHAPES)
def test_golden(name: str) -> None:
    blob = disc(120, 160, 70, 60, 26) | disc(120, 160, 95, 72, 17)
    masks = [blob, disc(120, 160, 118, 30, 3), disc(120, 160, 152, 110, 24), box(120, 160, 0.02, 0.1, 0.98, 1)]
    colours = ["yellow", "blue", "red", "lime"]
    tiles = []
    for index, (mask, colour) in enumerate(zip(masks, colours, strict=True)):
        tile = scene()
        shape(name).draw(tile, mask, COLOURS[colour], np.random.default_rng(index), number=[7, 3, 15, 260][index])
        tiles.append(tile)
    drawn = np.concatenate(tiles, axis=1)
    path = GOLDEN / f"{name}.png"
    if os.environ.get("SEEKER_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path, optimize=True)
    different = (np.asarray(Image.open(path)) != drawn).any(axis=2)
    assert not different.any(), f"{different.sum()} pixels differ from {path}; see the top of this file"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SHAPES)
def test_marks_show_and_their_target_stays_visible(name: str, size: str) -> None:
    for kind in MASKS:
        mask, target = masked(kind, size)
        for seed in range(3 if mask.size < 10_000 else 1):
            touched = changed(name, mask, seed, number=seed * 9 + 1)
            assert touched.sum() >= 6, kind
            hidden = (touched & target.mask).sum() / target.area_px
            assert hidden <= MOST_HIDDEN[name], (kind, seed, hidden)


@pytest.mark.parametrize("name", ["rectangle", "mask_contour", "ellipse", "triangle", "arrow"])
def test_marks_that_go_around_or_beside_hide_nothing_of_a_target_with_room(name: str) -> None:
    for size in SIZES.values():
        for kind in ("3 px", "tiny", "small", "middle", "ring", "hairline"):
            mask = MASKS[kind](*size)
            assert not (changed(name, mask) & mask).any(), kind


@pytest.mark.parametrize("name", SHAPES)
def test_same_arguments_same_pixels_and_the_mask_is_left_alone(name: str) -> None:
    mask = MASKS["small"](240, 320)
    before = mask.copy()
    frame = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    first = marked(name, frame, mask, seed=5)
    assert (first == marked(name, frame, mask, seed=5)).all()
    assert (mask == before).all()
    # A canvas that is not laid out in one piece is drawn on all the same.
    mirrored = np.ascontiguousarray(frame[:, ::-1])[:, ::-1]
    shape(name).draw(mirrored, mask, COLOURS["red"], np.random.default_rng(5), 3)
    assert (first == mirrored).all()
    # Masks decoded from run lengths are laid out by columns.
    assert (first == marked(name, frame, np.asfortranarray(mask), seed=5)).all()
    with pytest.raises(ValueError, match="does not fit"):
        marked(name, frame[:-1], mask)


@pytest.mark.parametrize("name", ["rectangle", "mask_contour", "ellipse", "triangle", "point", "arrow", "set_of_mark"])
def test_lengths_scale_with_the_frame(name: str) -> None:
    small, large = changed(name, MASKS["middle"](360, 640)), changed(name, MASKS["middle"](1440, 2560))
    assert large.mean() == pytest.approx(small.mean(), rel=0.3)


def test_4k() -> None:
    mask = MASKS["small"](2160, 3840)
    for name in SHAPES:
        assert 0.0002 < changed(name, mask).mean() < 0.05, name


@pytest.mark.parametrize("name", SHAPES)
def test_the_largest_part_is_marked(name: str) -> None:
    small, large = disc(240, 320, 250, 60, 12), disc(240, 320, 90, 150, 30)
    assert (changed(name, small | large) == changed(name, large)).all()


def test_holes_belong_to_what_is_around_them() -> None:
    ring = MASKS["ring"](240, 320)
    filled = disc(240, 320, 160, 120, 72)
    assert (changed("mask_contour", ring) == changed("mask_contour", filled)).all()


def test_target_counts_pixels_not_outlines() -> None:
    ring = disc(240, 320, 80, 120, 60) & ~disc(240, 320, 80, 120, 58)
    blob = disc(240, 320, 240, 120, 20)
    target = Target.of(ring | blob)
    assert (target.mask == blob).all()
    assert target.area_px == blob.sum()
    assert tuple(target.box_xyxy) == mask_box(blob)
    with pytest.raises(ValueError, match="empty"):
        Target.of(np.zeros((9, 9), bool))


@pytest.mark.parametrize("name", ["rectangle", "ellipse", "mask_contour"])
@pytest.mark.parametrize("kind", ["small", "middle", "tall", "horseshoe"])
def test_outlines_have_the_targets_box(name: str, kind: str) -> None:
    mask = MASKS[kind](480, 640)
    x0, y0, x1, y1 = mask_box(mask) or (0, 0, 0, 0)
    u0, v0, u1, v1 = mask_box(changed(name, mask)) or (0, 0, 0, 0)
    assert u0 <= x0 and v0 <= y0 and u1 >= x1 and v1 >= y1
    room = 8 * frame_scale(mask) + (0.5 * max(x1 - x0, y1 - y0) if name == "ellipse" else 0)
    assert max(x0 - u0, y0 - v0, u1 - x1, v1 - y1) < room


def test_ellipse_and_triangle_hold_the_whole_target() -> None:
    for name in ("ellipse", "triangle"):
        mask = MASKS["small"](480, 640)
        outline = changed(name, mask)
        # From any target pixel, the line is met in all four directions.
        rows, columns = np.nonzero(mask)
        for lines, index in ((outline[:, columns], rows), (outline.T[:, rows], columns)):
            at = np.arange(len(lines))[:, None]
            assert ((lines & (at < index)).any(axis=0) & (lines & (at > index)).any(axis=0)).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["3 px", "3 px at the right", "small", "middle", "corner", "tall", "hairline"])
def test_arrows_end_at_the_target_and_stay_in_the_frame(kind: str, size: str) -> None:
    mask = MASKS[kind](*SIZES[size])
    scale = frame_scale(mask)
    for seed in range(8):
        touched = changed("arrow", mask, seed)
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
        assert away[touched].min() < 3 * scale + 3
        edge = np.concatenate([touched[0], touched[-1], touched[:, 0], touched[:, -1]])
        assert not edge.any()


def test_arrows_come_from_many_sides() -> None:
    mask = MASKS["small"](240, 320)
    middles = [np.argwhere(changed("arrow", mask, seed)).mean(axis=0) for seed in range(12)]
    assert np.ptp(middles, axis=0).min() > 40


def test_points_lie_on_the_target_unless_it_is_tiny() -> None:
    middle, tiny = MASKS["middle"](480, 640), MASKS["3 px"](480, 640)
    row, column = np.argwhere(changed("point", middle)).mean(axis=0)
    assert middle[int(row), int(column)]
    assert not (changed("point", tiny) & tiny).any()
    np.testing.assert_allclose(
        np.argwhere(changed("point", tiny)).mean(axis=0), np.argwhere(tiny).mean(axis=0), atol=0.6
    )


def test_scribbles_lie_mostly_on_the_target() -> None:
    for kind in ("middle", "large", "bottom", "tall"):
        mask = MASKS[kind](720, 1280)
        touched = changed("scribble", mask)
        assert (touched & mask).sum() > 0.8 * touched.sum(), kind


def test_numbers_sit_deep_in_a_large_target_and_beside_a_small_one() -> None:
    large, small = MASKS["large"](480, 640), MASKS["small"](480, 640)
    on = changed("set_of_mark", large)
    assert (on & large).sum() == on.sum()
    np.testing.assert_allclose(np.argwhere(on).mean(axis=0), np.argwhere(large).mean(axis=0), atol=4)
    beside = changed("set_of_mark", small)
    assert not (beside & small).any()
    assert np.abs(np.argwhere(beside).mean(axis=0) - np.argwhere(small).mean(axis=0)).max() < 90


def test_figures_differ_and_grow_with_their_number() -> None:
    mask = MASKS["all"](240, 320)
    frame = np.zeros((240, 320, 3), np.uint8)
    drawn = [marked("set_of_mark", frame, mask, number=n).tobytes() for n in (*range(10), 11, 100)]
    assert len(set(drawn)) == 12
    assert digits(10)[1] > digits(8)[1]
    with pytest.raises(ValueError, match="negative"):
        digits(-1)


def test_lab_of_known_colours() -> None:
    found = lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8))
    known = np.array([[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2], [32.3, 79.19, -107.86]])
    np.testing.assert_allclose(found, known, atol=0.03)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("light", [1.0, 0.75])
def test_a_coloured_thing_never_gets_its_own_colour(name: str, light: float) -> None:
    mask = MASKS["small"](120, 160)
    frame = np.full((120, 160, 3), 128, np.uint8)
    frame[mask] = np.array(COLOURS[name]) * light
    drawn = [contrasting_colour(frame, mask, np.random.default_rng(seed)) for seed in range(60)]
    assert name not in drawn
    assert len(set(drawn)) >= 4
    assert drawn[7] == contrasting_colour(frame, mask, np.random.default_rng(7))


def test_the_surroundings_count_too() -> None:
    mask = MASKS["small"](120, 160)
    frame = np.full((120, 160, 3), (20, 150, 30), np.uint8)
    frame[mask] = 200
    drawn = {contrasting_colour(frame, mask, np.random.default_rng(seed)) for seed in range(60)}
    assert "lime" not in drawn


def test_on_grey_all_colours_are_drawn_about_equally() -> None:
    mask = MASKS["middle"](56, 56)
    frame = np.full((56, 56, 3), 60, np.uint8)
    rng = np.random.default_rng(0)
    drawn = [contrasting_colour(frame, mask, rng) for _ in range(900)]
    counts = [drawn.count(name) for name in COLOURS]
    assert min(counts) > 70


def test_every_kind_of_mask_gets_a_colour() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (56, 96, 3), np.uint8)
    for kind, make in MASKS.items():
        assert contrasting_colour(frame, make(56, 96), np.random.default_rng(0)) in COLOURS, kind
