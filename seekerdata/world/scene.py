"""Scene: the things of one clip, how they move and what happens to them. Everything follows from it: pixels, masks,
questions and answers. Times are seconds from the start, positions pixels of the frame (x right, y down)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

SLIDE_S = 1.6
SIDES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
Pair = tuple[float, float]


def smooth(share: np.ndarray | float) -> np.ndarray:
    """Smoothstep of `share`, 0 below 0 and 1 above 1."""
    s = np.clip(share, 0.0, 1.0)
    return s * s * (3 - 2 * s)


@dataclass(frozen=True)
class Path:
    """A slow swing around a centre; the thing may slide in at `enter_s` and out at `leave_s` over `edge_xy`."""

    centre_xy: Pair
    swing_xy: Pair
    period_xy: Pair
    phase_xy: Pair
    enter_s: float = -1e6
    leave_s: float = 1e6
    edge_xy: Pair = (0.0, 0.0)

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Positions (..., 2) at `times_s` (...)."""
        t = np.asarray(times_s, float)[..., None]
        swing = np.sin(2 * np.pi * t / np.array(self.period_xy) + np.array(self.phase_xy))
        away = 1 - smooth((t - self.enter_s) / SLIDE_S) + smooth((t - self.leave_s) / SLIDE_S)
        return np.array(self.centre_xy) + np.array(self.swing_xy) * swing + away * self.edge_xy


@dataclass(frozen=True)
class Thing:
    """One instance. `words` are what a viewer would call it, without an article; look-alikes share them."""

    shape: str
    colour: str
    radius_px: float
    path: Path
    words: str
    trousers: str = "grey"
    hair: str = "brown"


@dataclass(frozen=True)
class Event:
    """Something that happens to thing number `actor` from `start_s` to `end_s`, shorter than a second unless held."""

    kind: str
    actor: int
    start_s: float
    end_s: float
    value: str = ""
    other: int = -1

    @property
    def core_s(self) -> tuple[float, float]:
        """The middle half, in which a still frame clearly shows it (movements need time to get there)."""
        quarter = (self.end_s - self.start_s) / 4
        return self.start_s + quarter, self.end_s - quarter

    def strength(self, time_s: float) -> float:
        """0 outside, 1 in the core, smooth between: how far a movement has gone."""
        ramp = (self.end_s - self.start_s) / 4
        return float(smooth(min(time_s - self.start_s, self.end_s - time_s) / ramp))


@dataclass(frozen=True)
class Look:
    """How a thing looks at one moment. `extras` are (name, colour, dx, dy, angle_deg) drawn with it, in radii."""

    xy: Pair
    colour: str
    lift_px: float = 0.0
    """How high above its shadow."""
    scale: float = 1.0
    angle_deg: float = 0.0
    opacity: float = 1.0
    face: str = ""
    step: int = 0
    raised: bool = False
    extras: tuple[tuple[str, str, float, float, float], ...] = ()

    def moved(self, offset_xy: np.ndarray) -> "Look":
        return replace(self, xy=(self.xy[0] + float(offset_xy[0]), self.xy[1] + float(offset_xy[1])))


@dataclass(frozen=True)
class Scene:
    """A clip of `frames` frames; frame i shows time i / fps. Later things are in front of earlier ones."""

    size_wh: tuple[int, int]
    fps: int
    frames: int
    things: tuple[Thing, ...]
    events: tuple[Event, ...]
    texture: int
    plain: bool

    @property
    def duration_s(self) -> float:
        return self.frames / self.fps

    @cached_property
    def paths(self) -> np.ndarray:
        """Undisturbed positions (things, frames, 2)."""
        times = np.arange(self.frames) / self.fps
        return np.stack([thing.path.at(times) for thing in self.things])

    @cached_property
    def walked(self) -> np.ndarray:
        """Step numbers (things, frames) for walking people, from the way gone so far."""
        way = np.abs(np.diff(self.paths, axis=1, prepend=self.paths[:, :1])).sum(axis=2).cumsum(axis=1)
        return (way / np.array([[t.radius_px * 0.25] for t in self.things])).astype(int) % 8

    def look(self, who: int, frame: int) -> Look:
        """How thing `who` looks on `frame`."""
        time_s = frame / self.fps
        x, y = self.paths[who, frame].tolist()
        look = Look((x, y), self.things[who].colour, step=int(self.walked[who, frame]))
        for event in self.events:
            if event.start_s <= time_s < event.end_s and who in (event.actor, event.other):
                look = EFFECTS[event.kind](self, look, event, who, frame)
        return look


def _flash(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    return replace(look, colour=event.value) if who == event.actor else look


def _face(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    return replace(look, face=event.value) if who == event.actor else look


def _hold_up(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    name, _, colour = event.value.partition("/")
    return replace(look, raised=True, extras=(*look.extras, (name, colour, 0.62, -1.25, 0.0)))


def _crown(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    high = -1.2 if scene.things[who].shape == "person" else -1.1
    return replace(look, extras=(*look.extras, ("crown", "yellow", 0.0, high, 0.0)))


def _act(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    s = event.strength(frame / scene.fps)
    if event.value == "jump":
        lift_px = 1.5 * s * scene.things[who].radius_px
        return replace(look.moved(np.array([0.0, -lift_px])), lift_px=lift_px)
    if event.value == "flip":
        return replace(look, angle_deg=180.0 * s)
    if event.value == "vanish":
        return replace(look, opacity=1.0 - s)
    return replace(look, scale=1.0 + {"grow": 0.6, "shrink": -0.5}[event.value] * s)


def _dart(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    reach = 1.9 * scene.things[who].radius_px * event.strength(frame / scene.fps)
    return look.moved(np.array(SIDES[event.value]) * reach)


def _visit(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    if who != event.actor:
        return look
    goal = beside(scene.paths[event.other, frame], scene.things[event.other], scene.things[who], event.value)
    return look.moved((goal - scene.paths[who, frame]) * event.strength(frame / scene.fps))


def beside(place_xy: np.ndarray, host: Thing, guest: Thing, side: str) -> np.ndarray:
    """Where the guest's centre is when it stands on one side of the host."""
    return place_xy + np.array(SIDES[side]) * 1.15 * (host.radius_px + guest.radius_px)


def _swap(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    partner = event.other if who == event.actor else event.actor
    way = scene.paths[partner, frame] - scene.paths[who, frame]
    return look.moved(way * event.strength(frame / scene.fps))


def _bump(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    if who != event.actor:
        return look
    way = scene.paths[event.other, frame] - scene.paths[who, frame]
    gap = 0.95 * (scene.things[event.other].radius_px + scene.things[who].radius_px)
    goal = way * (1 - gap / max(float(np.hypot(*way)), 1.0))
    return look.moved(goal * event.strength(frame / scene.fps))


BALL = 0.32
"""Radius of the white ball, in radii of what it hits."""


def _ball(scene: Scene, look: Look, event: Event, who: int, frame: int) -> Look:
    if who != event.actor:
        return look
    way = scene.paths[event.other, frame] - scene.paths[who, frame]
    unit = way / max(float(np.hypot(*way)), 1.0)
    far = (1 + BALL) + 1.6 * (1 - event.strength(frame / scene.fps))
    angle = float(np.degrees(np.arctan2(unit[1], -unit[0])))
    extra = ("ball", "white", float(-unit[0] * far), float(-unit[1] * far), angle)
    return replace(look, extras=(*look.extras, extra))


EFFECTS = {
    "flash": _flash,
    "face": _face,
    "hold_up": _hold_up,
    "crown": _crown,
    "act": _act,
    "dart": _dart,
    "visit": _visit,
    "swap": _swap,
    "bump": _bump,
    "ball": _ball,
}
"""What each kind of event does to a look. To add a kind: one function, one line."""
