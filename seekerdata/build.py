"""build: the stages in order over one run folder, from videos to a dataset. Resumes from the ledger.

`<out>/run.db` is the truth; `<out>/<stage>.jsonl`, `manifest.json` and `dataset/` are written from it at the end.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from seekerdata import engine
from seekerdata.budget import Budget, Price, Purse
from seekerdata.dataset import DatasetSettings
from seekerdata.engine import EngineSettings
from seekerdata.errors import SeekerError
from seekerdata.ledger import Ledger, Row
from seekerdata.outcome import decide_all
from seekerdata.output import write_output
from seekerdata.plugin import load, names, picked, spelled_out
from seekerdata.retention import Expected
from seekerdata.role import roles
from seekerdata.run_folder import RunFolder
from seekerdata.sample import digest
from seekerdata.stage import Entry, Item, Source, Stage, Status
from seekerdata.stages.filter import Filter
from seekerdata.stages.render import Render
from seekerdata.stages.segment import Segment
from seekerdata.stages.select import Select
from seekerdata.stages.solve import Solve
from seekerdata.stages.verify import Verify
from seekerdata.workspace import Workspace

STAGES = ("source", "filter", "verify", "segment", "render", "solve", "select")

ByName = BeforeValidator(lambda value: spelled_out(value, "by"))
"""`filter: rules` is short for `filter: {by: rules}`."""


class BuildRecipe(Expected):
    """What to build: a source, the settings of each stage, where it goes."""

    name: str
    out: Path
    seed: int = 0
    """Seeds every draw of the stages that do not set their own."""
    source: Annotated[Source, picked("sources")]
    filter: Annotated[Filter, ByName] = Filter()
    verify: Annotated[Verify, ByName] = Verify()
    segment: Annotated[Segment, ByName] = Segment()
    render: Annotated[Render, ByName] = Render()
    solve: Annotated[Solve, ByName] = Solve()
    select: Annotated[Select, ByName] = Select()
    dataset: DatasetSettings = DatasetSettings()
    engine: EngineSettings = EngineSettings()
    budget: Budget = Budget()
    prices: dict[str, Price] = Field(default_factory=dict)
    """By the name of the model, as `model:` has it."""

    @model_validator(mode="before")
    @classmethod
    def _seeded(cls, values: Any) -> Any:
        """The recipe's seed is the seed of every part that draws and does not set its own."""
        if not isinstance(values, dict) or not isinstance(values.get("seed"), int):
            return values
        seeded = {stage: values.get(stage, {}) for stage in ("render", "solve", "select")}
        if _source_draws(values.get("source")):
            seeded["source"] = values["source"]
        for name, block in seeded.items():
            block = spelled_out(block, "use" if name == "source" else "by")
            if isinstance(block, dict):
                values = {**values, name: {"seed": values["seed"], **block}}
        return values

    @model_validator(mode="after")
    def _priced(self) -> "BuildRecipe":
        unpriced = sorted({role.settings.model for role in roles(self)} - set(self.prices))
        if self.budget.max_cost is not None and unpriced:
            raise ValueError(f"budget.max_cost needs prices for {', '.join(unpriced)}")
        return self

    def stages(self) -> list[tuple[str, Source | Stage]]:
        """Stage names and what does their work, in order."""
        return [(name, getattr(self, name)) for name in STAGES]


def _source_draws(value: Any) -> bool:
    """Whether a recipe's source is one that takes a seed."""
    value = spelled_out(value, "use")
    name = value.get("use") if isinstance(value, dict) else value
    return name in names("sources") and "seed" in load("sources", name).model_fields


class Watch:
    """Told what happens; the command line draws it. Does nothing itself."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins with this many items (None: not known), at the end `dataset`."""

    def row(self, row: Row, made: bool) -> None:
        """An item is done; `made` is False if an earlier run did it."""

    def wrote(self) -> None:
        """A row of the dataset is ready."""


class Report(NamedTuple):
    """What a run did."""

    out: Path
    complete: bool
    """False for a rank or a run asked to stop early: no dataset was written."""
    stages: list[dict[str, Any]]
    """One dict per stage: name, counts by status, reasons with counts, seconds of work, rows made now, its summary."""
    rows: dict[str, int]
    """Rows of each configuration."""
    bugs: list[Row]


def build(
    recipe: BuildRecipe,
    rank: int | None = None,
    world: int = 1,
    until: str | None = None,
    watch: Watch | None = None,
) -> Report:
    """Run a recipe, or continue it; the same recipe and inputs give a byte-identical dataset.

    Args:
        recipe: what to build.
        rank: work on this share of the items only, up to the first stage that must see all of them and that no
            merging call (one without a rank) has reached yet.
        world: number of shares.
        until: stop after this stage, without writing a dataset.
        watch: told of every stage and item.

    Raises:
        SeekerError: a mistake in the recipe's sources, another run on the folder, a full disk, a
            budget that is spent.
    """
    watch = watch or Watch()
    started = time.time()
    with RunFolder(recipe.out, rank, world) as folder, engine.Local(recipe.engine.processes) as local:
        workspace = Workspace(root=recipe.out, video_root=recipe.source.video_root(recipe.out))
        purse = Purse(recipe.budget, recipe.prices, folder.ledger.spent())
        run = _Run(folder.ledger, workspace, local, rank, world, watch, purse)
        done = []
        _check_ready(recipe, folder.ledger, until)
        for name, worker in recipe.stages():
            if rank is not None and isinstance(worker, Stage) and worker.sees_all and not run.knows_all(name):
                break
            done.append(_run_stage(name, worker, run))
            if name == until:
                break
        complete = rank is None and len(done) == len(STAGES)
        rows = write_output(recipe, folder.ledger, workspace, done, started, watch) if complete else {}
        failed = [row for name, _ in recipe.stages() for row in folder.ledger.rows(name, Status.FAILED)]
    return Report(recipe.out, complete, done, rows, bugs=[row for row in failed if row.error])


def _check_ready(recipe: BuildRecipe, ledger: Ledger, until: str | None) -> None:
    """Ask every stage that no earlier run has begun; one that is done may have been made on another machine."""
    for name, worker in recipe.stages():
        if next(ledger.rows(name), None) is None:
            worker.check_ready()
        if name == until:
            return


class _Run(NamedTuple):
    """What every stage of one call shares."""

    ledger: Ledger
    workspace: Workspace
    engine: engine.Local
    rank: int | None
    world: int
    watch: Watch
    purse: Purse

    def knows_all(self, name: str) -> bool:
        """Whether a rank can know all the items of a stage: those that a merging call has brought that far."""
        return next(self.ledger.whole(_before(name)), None) is not None


class _Given(NamedTuple):
    """What one item brings to a stage: the source's entry, or the item's JSON after the stage before."""

    id: str
    value: Entry | str
    digest: str


def _run_stage(name: str, worker: Source | Stage, run: _Run) -> dict[str, Any]:
    """Bring one stage up to date for every item that reaches it; returns its counts."""
    ledger = run.ledger
    found: list[tuple[str, str]] = []
    if isinstance(worker, Source):
        givens = list(_entries(worker, run.rank, run.world))
        total = len(givens)
        work = _pending(name, worker, givens, {}, run, found)
    else:
        ids = ledger.ids(_before(name), Status.KEPT)
        total = len(ids)
        whole = map(_item, ledger.whole(_before(name)))
        assigned = worker.assign(whole, run.workspace) if worker.sees_all else {}
        work = _pending(name, worker, _outputs(_before(name), ids, ledger), assigned, run, found)
    run.watch.stage(name, total)
    ledger.begin(name)
    run.purse.begin()
    made, stopped = 0, list[str]()
    models, loads_weights = (
        [role.settings for role in roles(worker)],
        isinstance(worker, Stage) and worker.loads_weights,
    )
    for row in run.engine.run(_affordable(work, worker, run.purse, stopped), models, loads_weights):
        ledger.add(row)
        run.purse.come_back(row.usage)
        made += 1
        run.watch.row(row, made=True)
    ledger.mark(name, found)
    if stopped:
        again = "finished work is kept, raise the budget and run the same command again to go on"
        raise SeekerError(f"the budget is spent at {name}: {stopped[0]}; {again}")
    if isinstance(worker, Stage) and worker.decides:
        decide_all(name, worker, assigned, ledger)
    summary = worker.summary(ledger.rows(name)) if isinstance(worker, Stage) else {}
    return {"name": name, **ledger.counts(name), "made": made, **summary}


def _pending(
    name: str,
    worker: Source | Stage,
    givens: Iterable[_Given],
    assigned: dict[str, Any],
    run: _Run,
    found: list[tuple[str, str]],
) -> Iterator[engine.Work]:
    """The work that no earlier run has done; what was done is noted in `found`."""
    fingerprint = worker.fingerprint()
    for given in givens:
        share = assigned.get(given.id)
        tasks = worker.tasks(share) if isinstance(worker, Stage) else [share]
        keys = [digest([fingerprint, given.digest, task]) for task in tasks]
        rows = filter(None, (run.ledger.find(name, given.id, key) for key in keys))
        row = next((row for row in rows if not _again(row, worker)), None)
        if row:
            found.append((given.id, row.key))
            run.watch.row(row, made=False)
        else:
            yield engine.Work(name, given.id, keys[0], worker, given.value, tasks[0], run.workspace)


def _again(row: Row, worker: Source | Stage) -> bool:
    """Whether an earlier row is made again; one that could not be read is: its file may have been mended."""
    return row.retryable or (row.status is Status.FAILED and isinstance(worker, Source))


def _affordable(
    works: Iterable[engine.Work], worker: Source | Stage, purse: Purse, stopped: list[str]
) -> Iterator[engine.Work | None]:
    """The work until the budget is spent, which `stopped` then says; None while what is under way may spend it. A
    stage that names no model is not stopped."""
    paid = any(roles(worker))
    for piece in works:
        while paid and not purse.empty and purse.must_wait:
            yield None
        if paid and purse.empty:
            stopped.append(purse.empty)
            return
        purse.hand_out()
        yield piece


def _before(name: str) -> str:
    return STAGES[STAGES.index(name) - 1]


def _item(output: str) -> Item:
    return Item.model_validate_json(output)


def _entries(source: Source, rank: int | None, world: int) -> Iterator[_Given]:
    for entry in source.entries():
        if rank is None or engine.in_share(entry.id, rank, world):
            facts = entry.model_dump(mode="json", exclude={"where"})  # a line added above changes no other row
            yield _Given(entry.id, entry, digest(facts))


def _outputs(stage: str, ids: list[str], ledger: Ledger) -> Iterator[_Given]:
    for item_id in ids:
        output = ledger.output(stage, item_id)
        yield _Given(item_id, output, hashlib.sha256(output.encode()).hexdigest())
