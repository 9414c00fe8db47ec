"""Retention: how many items each stage keeps, as a recipe expects and as the paper's Table 8 reports it."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

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
