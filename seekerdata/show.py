"""show: the page of a run: every item that came through, and why the others did not."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import PIL.Image
from pydantic import ValidationError

from seekerdata.build import STAGES, BuildRecipe
from seekerdata.dataset import shown
from seekerdata.errors import SeekerError
from seekerdata.exhibit import Exhibit
from seekerdata.ledger import Ledger
from seekerdata.page import LeftOut, write_page
from seekerdata.sample import DIMENSIONS
from seekerdata.stage import Item, Status
from seekerdata.trajectory import Image
from seekerdata.workspace import Workspace


def show(run: Path, page: Path, limit: int) -> Path:
    """Write the page of a finished run.

    Args:
        run: the run folder.
        page: the HTML file.
        limit: at most this many items, in the order of their ids; the stage table still counts all.

    Raises:
        SeekerError: the folder is not that of a finished run.
    """
    try:
        manifest = json.loads((run / "manifest.json").read_text())
    except OSError:
        raise SeekerError(f"{run}: not a run folder, or its build is not finished") from None
    try:
        source = BuildRecipe.model_validate({**manifest["recipe"], "out": run}).source
    except ValidationError:
        raise SeekerError(f"{run}: made by another version of seekerdata; build it again") from None
    workspace = Workspace(root=run, video_root=source.video_root(run))
    ledger = Ledger(run / "run.db")
    try:
        exhibits = islice(_exhibits(ledger, workspace), limit)
        facts, left_out = _facts(manifest, limit), _left_out(ledger)
        write_page(page, manifest["name"], facts, manifest["stages"], exhibits, left_out, dimensions=DIMENSIONS)
    finally:
        ledger.close()
    return page


def _facts(manifest: dict, limit: int) -> dict[str, str]:
    facts = {f"{config} rows": str(count) for config, count in manifest["rows"].items()}
    facts |= {"source": manifest["recipe"]["source"]["use"], "seed": str(manifest["recipe"]["seed"])}
    if manifest["rows"]["qa"] > limit:
        facts["shown"] = f"the first {limit}"
    facts |= {"built": manifest["started"], "seconds": str(manifest["seconds"]), "code": manifest["versions"]["git"]}
    return facts


def _exhibits(ledger: Ledger, workspace: Workspace) -> Iterator[Exhibit]:
    """Every rendered question, as the last stage that kept it left it."""
    for item_id in ledger.ids("render", Status.KEPT):
        item, verdict = _last(ledger, item_id)
        prompt = item.sample.visual_prompts[0]
        yield Exhibit(
            sample=item.sample,
            trajectory=item.trajectory,
            verdict=verdict,
            picture=_looker(item, workspace),
            marked=workspace.picture(prompt.image),
            raw=workspace.picture(prompt.raw_image),
        )


def _looker(item: Item, workspace: Workspace) -> Callable[[Image], PIL.Image.Image] | None:
    """Gives a trajectory's pictures by reference; the first one asked for has all of them decoded in one pass."""
    trajectory = item.trajectory
    if trajectory is None:
        return None
    pictures: dict[Image, PIL.Image.Image] = {}

    def look(image: Image) -> PIL.Image.Image:
        if not pictures:
            pictures.update(zip(trajectory.images, shown(item.sample, trajectory.turns, workspace), strict=True))
        return pictures[image]

    return look


def _last(ledger: Ledger, item_id: str) -> tuple[Item, str]:
    """The item after the last stage that kept it, and what the run decided on it."""
    verdict = "kept"
    for stage in reversed(STAGES):
        row = ledger.current(stage, item_id)
        if row and row.status is Status.KEPT:
            return Item.model_validate_json(row.output), verdict
        if row:
            verdict = f"{row.status} at {stage}: {row.reason}"
    raise AssertionError("render kept this item")


def _left_out(ledger: Ledger) -> Iterator[LeftOut]:
    for stage in STAGES:
        for status in (Status.DROPPED, Status.FAILED):
            for row in ledger.rows(stage, status):
                yield LeftOut(row.id, stage, str(status), row.reason)
