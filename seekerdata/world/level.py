"""Level: how hard and how large a world is. Four are given; a recipe may change any of their numbers."""

from pydantic import BaseModel, ConfigDict

COLOURS = {
    "red": (222, 45, 45),
    "orange": (245, 140, 30),
    "yellow": (245, 220, 60),
    "green": (50, 165, 75),
    "blue": (45, 95, 225),
    "purple": (130, 70, 185),
    "pink": (245, 130, 185),
    "grey": (150, 150, 150),
    "white": (250, 250, 250),
}
"""RGB of every colour word. `grey` and `white` are kept for what has no colour of its own."""

BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
SHAPES = ("circle", "square", "triangle", "star", "hexagon", "heart", "diamond")


class Level(BaseModel):
    """Everything that decides a world besides its seed. Lengths are in seconds, sizes in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_wh: tuple[int, int]
    fps: int
    duration_s: tuple[int, int]
    """Shortest and longest clip; the length is drawn uniformly in whole seconds."""
    questions_per_video: int
    plans: int
    """Different things asked about in one clip. With more questions than plans, the look-alike is asked about too:
    the same words, another mark, another answer."""
    singles: tuple[int, int]
    """How many things have no look-alike, at least and at most; more when a question must name others."""
    radius: tuple[float, float]
    """Half a thing's size as a share of the frame's short side."""
    families: tuple[str, ...] = ()
    """Question families by name; empty means all."""
    shapes: tuple[str, ...] = SHAPES
    body_colours: tuple[str, ...] = BRIGHT
    flash_colours: tuple[str, ...] = BRIGHT
    plain: bool = False
    """Flat things on a flat background, the smallest vocabulary, a time window that starts on a whole second."""
    natural: bool = False
    """Several wordings of each question instead of one."""
    no_mark_share: float = 0.04
    """At most this share of plans has a target that is alone in its words, so that no mark is needed."""
    no_crop_share: float = 0.03
    """About this share of plans has an event that lasts long enough for the overview to show it."""
    preset: str = "veryfast"
    crf: int = 20


LEVELS = {
    1: Level(
        size_wh=(56, 56),
        fps=10,
        duration_s=(10, 10),
        questions_per_video=2,
        plans=1,
        singles=(0, 0),
        radius=(0.16, 0.18),
        families=("flash",),
        shapes=("circle", "square", "triangle"),
        body_colours=("grey",),
        flash_colours=("red", "green", "blue", "yellow"),
        plain=True,
        no_mark_share=0.0,
        no_crop_share=0.0,
        preset="ultrafast",
        crf=10,
    ),
    2: Level(
        size_wh=(160, 160),
        fps=12,
        duration_s=(20, 20),
        questions_per_video=2,
        plans=2,
        singles=(1, 2),
        radius=(0.09, 0.11),
        families=("flash", "dart", "dots", "after"),
    ),
    3: Level(
        size_wh=(320, 240),
        fps=15,
        duration_s=(20, 60),
        questions_per_video=3,
        plans=3,
        singles=(1, 4),
        radius=(0.080, 0.095),
    ),
    4: Level(
        size_wh=(1280, 720),
        fps=24,
        duration_s=(30, 120),
        questions_per_video=4,
        plans=4,
        singles=(3, 4),
        radius=(0.080, 0.100),
        natural=True,
        crf=22,
    ),
}
