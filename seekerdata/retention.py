"""Retention, Expected: how many items each stage keeps, and what else a recipe expects; the paper's Table 8."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from seekerdata.recipe import Recipe

PAPER_KEPT = {
    "source": 147_245,
    "filter": 65_594,
    "verify": 48_457,
    "segment": 41_083,
    "render": 40_929,
    "solve": 34_200,
    "rl": 4_100,
}
"""Questions that were left after each stage of the paper; its last two figures are rounded. `rl`: of those, the rows
that train by reward."""

PAPER_RETENTION = {name: after / before for (_, before), (name, after) in pairwise(PAPER_KEPT.items())}
"""Share that each stage of the paper kept of what reached it."""

Retention = Annotated[
    dict[
        Literal["source", "filter", "verify", "segment", "render", "solve", "select", "rl"],
        Annotated[float, Field(ge=0, le=1)],
    ],
    BeforeValidator(lambda value: PAPER_RETENTION if value == "paper" else value),
]
"""Share of the items that each stage is expected to keep, all where it is not said; `rl`: share of the dataset's
questions that are also `rl` rows. `paper` for the paper's."""


class Expected(Recipe):
    """What a recipe expects of its items, for `plan` alone; nothing that is made depends on it."""

    expected_items: int | None = Field(default=None, ge=1)
    """How many questions the source has, where its files are not on this machine."""
    expected_retention: Retention = Field(default_factory=dict)
    expected_video_s: float | None = Field(default=None, gt=0)
    """How long the videos are; None: long enough to fill every limit of frames."""
    gpu_seconds: dict[
        Literal["filter", "verify", "segment", "render", "solve", "select"],
        Annotated[float, Field(ge=0, allow_inf_nan=False)],
    ] = Field(default_factory=dict)
    """Seconds that one item takes a GPU of your own at a stage, all its models together."""
