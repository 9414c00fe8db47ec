"""Verdicts: what a judge said that had failed in an earlier run. It is shown the reply that the log holds, once.

The logs stay as they are. A verdict is a file of its own in the run's folder, written whole, so that a kill loses none;
a judge that fails again leaves nothing and is asked again by the next run. The model is never asked.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.models import ModelSettings
from seekerdata.sample import digest
from seekerdata.workspace import write_atomically
from seekereval.grading import graded_of
from seekereval.item import Graded, State

VERDICTS = "verdicts"


class Unjudged(NamedTuple):
    """An item on which the judge failed, with what came of its play."""

    graded: Graded
    played: Mapping[str, Any]


def kept_verdict(folder: Path, failed: Graded) -> Graded | None:
    """The verdict that an earlier run got on an item on which the judge had failed; None if there is none."""
    try:
        found = json.loads(_file(folder, failed).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Graded.model_validate({"item": failed.item, **found})


def judged_again(folder: Path, failed: Sequence[Unjudged], judge: ModelSettings) -> dict[str, Graded]:
    """Ask the judge again and keep what it says.

    Args:
        folder: where verdicts are kept.
        failed: the items.
        judge: who is asked, as many items at once as its settings say.

    Returns:
        The grades by item id; the state of one on which the judge failed again is still `judge_failed`.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
    """

    async def settled() -> list[Graded]:
        places = asyncio.Semaphore(judge.concurrency)

        async def one(row: Unjudged) -> Graded:
            async with places:
                found = await graded_of(row.graded.item, row.played, judge)
            if found.state is not State.JUDGE_FAILED:
                write_atomically(_file(folder, found), found.model_dump_json(exclude={"item"}).encode())
            return found

        return await asyncio.gather(*map(one, failed))

    return {found.item.id: found for found in asyncio.run(settled())}


def _file(folder: Path, graded: Graded) -> Path:
    return folder / f"{digest(graded.item.id)}.json"
