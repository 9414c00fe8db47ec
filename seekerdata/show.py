"""show: the page of a run, every item that came through and why the others did not; or of a dataset, row by row.

A run is shown from its ledger and files; a dataset from its rows alone, with the videos' frames where they are at hand.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import PIL.Image
from pydantic import ValidationError

from seekerdata import dataset_row
from seekerdata.build import STAGES, BuildRecipe
from seekerdata.dataset import CONFIGS, pictures, shown
from seekerdata.dataset_row import asked
from seekerdata.drawn_mark import prompt_frame
from seekerdata.errors import ItemError, SeekerError
from seekerdata.exhibit import NOT_PLAYED, Exhibit, looker
from seekerdata.ledger import Ledger
from seekerdata.page import LeftOut, write_page
from seekerdata.reward import accuracy_by_rule, answer_of
from seekerdata.sample import DIMENSIONS
from seekerdata.shards import read
from seekerdata.stage import Item, Status
from seekerdata.trajectory import Image, StopReason, Trajectory
from seekerdata.video import FrameCache, Video
from seekerdata.workspace import Workspace


def show(run: Path, page: Path | None, limit: int, videos: Path | None = None) -> Path:
    """Write the page of a finished run, or of a dataset.

    Args:
        run: the run folder, or a dataset folder with `qa/`, `sft/` or `rl/`.
        page: the HTML file; by default `page.html` in the run, and beside a dataset, which stays as it is.
        limit: at most this many items, in the order of their ids, of a dataset that many rows of each configuration;
            what is counted counts all.
        videos: the folder of the videos; by default what the recipe names, and `../videos` for a dataset.

    Raises:
        SeekerError: the folder is neither, or there is no such folder of videos.
    """
    if videos and not videos.is_dir():
        raise SeekerError(f"{videos}: no such folder of videos")
    if any((run / config).is_dir() for config in CONFIGS):
        folder = run.resolve()
        return _show_dataset(folder, page or folder.with_name(f"{folder.name}.html"), limit, videos)
    return _show_run(run, page or run / "page.html", limit, videos)


def _show_run(run: Path, page: Path, limit: int, videos: Path | None) -> Path:
    try:
        manifest = json.loads((run / "manifest.json").read_text())
    except OSError:
        raise SeekerError(f"{run}: not a run folder or a dataset, or its build is not finished") from None
    try:
        source = BuildRecipe.model_validate({**manifest["recipe"], "out": run}).source
    except ValidationError:
        raise SeekerError(f"{run}: made by another version of seekerdata; build it again") from None
    workspace = Workspace(root=run, video_root=videos or source.video_root(run))
    ledger = Ledger(run / "run.db")
    try:
        exhibits = islice(_exhibits(ledger, workspace), limit)
        facts, left_out = _facts(manifest, limit), _left_out(ledger)
        write_page(page, manifest["name"], facts, manifest["stages"], exhibits, left_out, dimensions=DIMENSIONS)
    finally:
        ledger.close()
    return page


def _show_dataset(folder: Path, page: Path, limit: int, videos: Path | None) -> Path:
    root = videos or folder.parent / "videos"
    configs = [config for config in CONFIGS if (folder / config).is_dir()]
    counts = {config: _count(folder / config) for config in configs}
    facts = {f"{config} rows": str(count) for config, count in counts.items()}
    if max(counts.values()) > limit:
        facts["shown"] = f"the first {limit} of each"
    if not root.is_dir():
        facts["videos"] = f"not at hand ({root})"
    options, cache = _options(folder), FrameCache()
    rows = ((config, row) for config in configs for row in islice(read(folder, config), limit))
    exhibits = (_row_exhibit(config, _marked(row, root), options, _frames(row, root, cache)) for config, row in rows)
    write_page(page, f"{folder.parent.name}/{folder.name}", facts, (), exhibits, dimensions=DIMENSIONS)
    return page


def _count(config: Path) -> int:
    import pyarrow.parquet

    return sum(pyarrow.parquet.read_metadata(file).num_rows for file in config.glob("train-*.parquet"))


def _options(folder: Path) -> dict[str, tuple[str, ...]]:
    """The options of every question by its id: an `sft` row has them in its words only."""
    import pyarrow.parquet

    files = sorted((folder / "qa").glob("train-*.parquet"))
    tables = [pyarrow.parquet.read_table(file, columns=["id", "options"]) for file in files]
    return {row["id"]: tuple(row["options"]) for table in tables for row in table.to_pylist()}


def _row_exhibit(
    config: str,
    row: dict[str, Any],
    options: dict[str, tuple[str, ...]],
    look: Callable[[Image], PIL.Image.Image] | None,
) -> Exhibit:
    """A row as an item: an `sft` row with its conversation, an `rl` row with its opening, a `qa` row as asked."""
    sample, turns = asked(row), dataset_row.turns(row)
    groups = {"configuration": config}
    marks = (dataset_row.mark(row),) if row["shape"] else ()
    told: dict[str, Any] = {"visual_prompts": marks, "provenance": row["provenance"] or {}}
    told["video"] = sample.video.model_copy(update={"origin": row["video_origin"], "licence": row["video_licence"]})
    trajectory, state = None, ""
    if config == "sft":
        told["options"] = options.get(sample.id, ())
        judged = told["provenance"].get("solve", {}).get("judge", {}).get("score") == 1.0
        answer = answer_of(turns)
        right = judged or accuracy_by_rule(answer, sample.answer, told["options"]) == 1.0
        said = {"answer": answer, "correct": right, "stop": StopReason.ANSWERED if answer else StopReason.NO_ANSWER}
        trajectory = Trajectory(sample_id=sample.id, policy=row["policy"], kind=row["kind"], turns=turns, **said)
    elif config == "rl":
        groups["pass rate"] = "" if row["pass_rate"] is None else f"{row['pass_rate']:.2g}"
        trajectory = Trajectory(sample_id=sample.id, policy="", turns=turns, stop=StopReason.NO_ANSWER)
        state = NOT_PLAYED
    else:
        told["text_question"] = row["text_question"]
    sample = sample.model_copy(update=told)
    frames = {"picture": look, "marked": row["image"], "raw": row["raw_image"]}
    return Exhibit(sample, trajectory, state=state, note=row.get("fault", ""), groups=groups, **frames)


def _marked(row: dict[str, Any], root: Path) -> dict[str, Any]:
    """The row with its mark drawn again, if a licence kept it out and its video is at hand; with the `fault` if that
    gives other pixels."""
    if row["image"] or not row["drawn"] or not (root / row["video_path"]).is_file():
        return row
    try:
        return row | {"image": prompt_frame(row, Video(root / row["video_path"])).picture}
    except ItemError as error:
        return row | {"fault": error.message}


def _frames(row: dict[str, Any], root: Path, cache: FrameCache) -> Callable[[Image], PIL.Image.Image] | None:
    """The pictures of a row by reference; None where they would come from a video that is not at hand."""
    if row.get("media") != "embedded" and not (root / row["video_path"]).is_file():
        return None
    images = [image for turn in dataset_row.turns(row) for image in turn.images]
    return looker(images, partial(pictures, row, root, cache))


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
        prompt, played = item.sample.visual_prompts[0], item.trajectory
        yield Exhibit(
            sample=item.sample,
            trajectory=played,
            verdict=verdict,
            picture=looker(played.images, partial(shown, item.sample, played.turns, workspace)) if played else None,
            marked=workspace.picture(prompt.image),
            raw=workspace.picture(prompt.raw_image),
        )


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
