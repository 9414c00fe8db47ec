"""Truth against pixels: what the world says is seen is painted where its masks say, and nowhere at whole seconds."""

import io
from dataclasses import replace

import numpy as np
import pytest

from seekerdata.world.episode import Planned, episode
from seekerdata.world.families import FAMILIES
from seekerdata.world.film import encode
from seekerdata.world.level import COLOURS, LEVELS, Level
from seekerdata.world.paint import NOBODY, frame_rgb, owners
from seekerdata.world.scene import Event, Path, Scene, Thing

STILL = Path((60.0, 60.0), (0.0, 0.0), (10.0, 10.0), (0.0, 0.0))


def level(family: str, number: int = 3) -> Level:
    changes = {"families": (family,), "plans": 1, "questions_per_video": 1, "no_crop_share": 0.0, "no_mark_share": 0.0}
    return LEVELS[number].model_copy(update=changes)


def middle(scene: Scene, event: Event) -> int:
    return round(sum(event.core_s) / 2 * scene.fps)


def one(shape: str, kind: str, value: str) -> tuple[Scene, int]:
    """One still thing to which one thing happens, and the frame at which it does."""
    thing = Thing(shape, "blue", 30.0, STILL, f"blue {shape}")
    event = Event(kind, 0, 0.2, 0.8, value)
    return Scene((120, 120), 10, 20, (thing,), (event,), 3, False), 5


@pytest.mark.parametrize("family", FAMILIES)
def test_events_are_painted_and_never_at_whole_seconds(family: str) -> None:
    found = episode(level(family), 3, 3, 0)
    scene, quiet = found.scene, replace(found.scene, events=())
    for second in range(int(scene.duration_s)):
        frame = second * scene.fps
        assert np.array_equal(frame_rgb(scene, frame), frame_rgb(quiet, frame))
    for part in found.planned[0].parts:
        for event in part.events:
            frame = middle(scene, event)
            changed = np.abs(frame_rgb(scene, frame).astype(int) - frame_rgb(quiet, frame)).max(axis=2) > 40
            assert changed.sum() > 30


def test_a_flash_has_its_colour_inside_the_mask() -> None:
    for number in (1, 3):
        found = episode(level("flash", number), 4, number, 1)
        (plan,) = found.planned
        for member, part in enumerate(plan.parts):
            frame = middle(found.scene, part.events[0])
            inside = frame_rgb(found.scene, frame)[owners(found.scene, frame) == plan.pair[member]]
            assert np.abs(np.median(inside, axis=0) - COLOURS[part.answer]).max() <= 30


@pytest.mark.parametrize("digit", "123456789")
def test_a_digit_can_be_read(digit: str) -> None:
    """Read by its seven strokes, apart from the code that draws them."""
    scene, frame = one("circle", "face", digit)
    grey = frame_rgb(scene, frame).mean(axis=2)
    y = 60 + 30 * 0.05
    spots = {"a": (0, -0.44), "b": (0.23, -0.22), "c": (0.23, 0.22), "d": (0, 0.44)}
    spots |= {"e": (-0.23, 0.22), "f": (-0.23, -0.22), "g": (0, 0)}
    dark = {name for name, (dx, dy) in spots.items() if grey[round(y + dy * 30), round(60 + dx * 30)] < 128}
    strokes = {"1": "bc", "2": "abdeg", "3": "abcdg", "4": "bcfg", "5": "acdfg", "6": "acdefg", "7": "abc"}
    assert dark == set({**strokes, "8": "abcdefg", "9": "abcdfg"}[digit])


@pytest.mark.parametrize("count", range(1, 7))
def test_dots_can_be_counted(count: int) -> None:
    import cv2

    scene, frame = one("square", "face", f"dots/{count}")
    dark = (frame_rgb(scene, frame)[40:82, 42:78].mean(axis=2) < 110).astype(np.uint8)
    assert cv2.connectedComponents(dark)[0] - 1 == count


def test_movements_go_where_they_say() -> None:
    for value, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
        scene, frame = one("circle", "dart", value)
        scene = replace(scene, things=(replace(scene.things[0], radius_px=12.0),))
        rows, columns = np.nonzero(owners(scene, frame) == 0)
        assert columns.mean() - 59.5 == pytest.approx(dx * 1.9 * 12, abs=1)
        assert rows.mean() - 59.5 == pytest.approx(dy * 1.9 * 12, abs=1)


def test_the_ball_flies_along_the_line_it_would_have_taken() -> None:
    (plan,) = episode(level("ball"), 6, 3, 0).planned
    scene = episode(level("ball"), 6, 3, 0).scene
    for member, part in enumerate(plan.parts):
        (event,) = part.events
        frame = middle(scene, event)
        here, there = scene.paths[plan.pair[member], frame], scene.paths[event.other, frame]
        assert part.answer == f"the {scene.things[event.other].words}"
        ball = scene.look(plan.pair[member], frame).extras[0]
        assert np.dot((ball[2], ball[3]), there - here) < 0, "the ball comes from the far side"


def test_the_one_that_bumps_touches() -> None:
    found = episode(level("bump"), 2, 3, 0)
    (plan,) = found.planned
    for member, part in enumerate(plan.parts):
        frame = middle(found.scene, part.events[0])
        mask = owners(found.scene, frame)
        near = np.argwhere(mask == plan.pair[member])[:, None] - np.argwhere(mask == part.events[0].actor)[None]
        assert np.hypot(near[..., 0], near[..., 1]).min() < found.scene.things[0].radius_px / 2


def test_masks_are_what_is_painted() -> None:
    """Taking a thing away changes the pixels of its mask and, edges apart, no others."""
    found = episode(level("flash", 1), 0, 1, 0)
    scene = replace(found.scene, things=found.scene.things, events=())
    for who in (0, 1):
        away = replace(scene.things[who], path=replace(scene.things[who].path, centre_xy=(-500.0, -500.0)))
        without = replace(scene, things=tuple(away if i == who else t for i, t in enumerate(scene.things)))
        for frame in (0, 37, 99):
            changed = np.abs(frame_rgb(scene, frame).astype(int) - frame_rgb(without, frame)).max(axis=2) > 55
            mask = owners(scene, frame) == who
            assert mask.any()
            assert (changed ^ mask).sum() <= 0.02 * mask.sum()


def test_masks_are_visible_pixels_only() -> None:
    """In front of a thing is in front of its mask; out of the frame is out of its mask."""
    behind = Thing("circle", "red", 20.0, STILL, "red circle")
    front = Thing("square", "blue", 12.0, STILL, "blue square")
    aside = Thing("circle", "green", 20.0, replace(STILL, centre_xy=(0.0, 60.0)), "green circle")
    scene = Scene((120, 120), 10, 10, (behind, front, aside), (), 3, False)
    whose = owners(scene, 0)
    rgb = frame_rgb(scene, 0)
    assert whose[60, 60] == 1 and whose[60, 45] == 0 and whose[5, 60] == NOBODY
    assert (whose == 0).sum() + (whose == 1).sum() == pytest.approx(np.pi * 20**2, rel=0.05)
    assert (whose == 2).sum() == pytest.approx(np.pi * 20**2 / 2, rel=0.05)
    assert rgb[whose == 1].mean(axis=0).argmax() == 2


def test_the_decoded_clip_hides_events_from_the_overview() -> None:
    """Level 1 is grey at every whole second, and has the flash's colour in the mask when it flashes."""
    found = episode(LEVELS[1], 5, 1, 2)
    frames = decoded(found.scene)
    (plan,) = found.planned
    for second in range(int(found.scene.duration_s)):
        assert np.ptp(frames[second * found.scene.fps].astype(int), axis=2).max() < 40
    for member, part in enumerate(plan.parts):
        assert inside(found.scene, plan, member, frames) == pytest.approx(COLOURS[part.answer], abs=35)


def test_decoding_returns_what_was_painted() -> None:
    changes = {"duration_s": (20, 20), "size_wh": (160, 120), "fps": 10, "plans": 1}
    scene = replace(episode(LEVELS[3].model_copy(update=changes), 1, 3, 0).scene, frames=60)
    frames = decoded(scene)
    assert len(frames) == 60
    for frame in (0, 15, 59):
        assert np.abs(frames[frame].astype(int) - frame_rgb(scene, frame)).mean() < 4


def decoded(scene: Scene) -> list[np.ndarray]:
    import av

    with av.open(io.BytesIO(encode(scene, "ultrafast", 10))) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([i / scene.fps for i in range(scene.frames)])
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def inside(scene: Scene, plan: Planned, member: int, frames: list[np.ndarray]) -> np.ndarray:
    """Median colour of a member's mask at its event, in decoded frames."""
    frame = middle(scene, plan.parts[member].events[0])
    return np.median(frames[frame][owners(scene, frame) == plan.pair[member]], axis=0)
