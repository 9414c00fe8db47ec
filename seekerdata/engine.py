"""Engine: where a stage's work runs. It owns no truth: it is given pending work and hands back finished rows.

`local` runs in this process or in a pool of fresh (spawned) ones; a rank is a local engine on a share of the ids.
"""

import json
import math
import os
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.errors import ItemError, SeekerError
from seekerdata.ledger import Row
from seekerdata.model_loop import at_work
from seekerdata.models import ModelSettings
from seekerdata.pool import Pool
from seekerdata.run_log import log, logging
from seekerdata.sample import digest
from seekerdata.stage import Drop, Entry, Item, Source, Stage, Status
from seekerdata.usage import metered
from seekerdata.workspace import Workspace

AHEAD = 3
"""Pieces that wait at each worker while it is at work: enough to keep it busy, few enough to stop quickly."""


class EngineSettings(BaseModel):
    """Where the work runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=0, ge=0)
    """Processes; 0 is one for each core this process may use."""

    @property
    def processes(self) -> int:
        return self.workers or len(os.sched_getaffinity(0))


class Work(NamedTuple):
    """One item's work at one stage; small enough to send to another process."""

    stage_name: str
    id: str
    key: str
    worker: Source | Stage
    given: Entry | str
    """The source's entry, or the item's JSON."""
    assigned: Any
    workspace: Workspace


class Local:
    """This process, or a pool of fresh (spawned) ones kept for the whole run."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool = Pool(own_processes=processes > 1)

    def __enter__(self) -> "Local":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close(now=error is not None)

    def run(
        self, works: Iterable[Work | None], models: Sequence[ModelSettings] = (), loads_weights: bool = False
    ) -> Iterator[Row]:
        """Finished rows in the order they finish.

        Args:
            works: taken from as there is room; None, while any is under way, asks to wait for a result.
            models: those that the work waits for; as many items wait at once as the busiest of them may be asked.
            loads_weights: whether the work needs weights in memory, which one process then loads.

        Raises:
            SeekerError: something that concerns every item, such as a full disk.
        """
        at_once = max((model.concurrency for model in models), default=0)
        workers = min(self._processes, at_once or self._processes)
        if loads_weights or any(model.in_process for model in models):
            workers = 1
        if workers <= 1 and at_once <= 1:
            yield from map(work, filter(None, works))
        elif at_once:
            yield from self._pool.run(work, works, workers, threads=math.ceil(at_once / workers))
        else:
            yield from self._pool.run(work, works, workers, threads=1, ahead=AHEAD)


def work(piece: Work) -> Row:
    """Do one piece. A bad item is a row; a bug is a row with its traceback; a user's mistake ends the run."""
    with logging(piece.workspace.root, f"{piece.stage_name} {piece.id}"), at_work():
        row = _row(piece)
        if row.status is Status.FAILED:
            log(row.reason)
        return row


def _row(piece: Work) -> Row:
    started = time.monotonic()
    row = Row(piece.stage_name, piece.id, piece.key, Status.FAILED)
    try:
        with metered() as meter:
            result = _process(piece)
        if isinstance(result, Drop):
            facts = json.dumps(result.facts, ensure_ascii=False) if result.facts else ""
            row = row._replace(status=Status.DROPPED, reason=result.reason, output=facts)
        else:
            row = row._replace(status=Status.KEPT, output=result.model_dump_json())
    except ItemError as error:
        row = row._replace(reason=f"{error.code}: {error.message}", retryable=error.retryable)
    except SeekerError:
        raise
    except Exception as error:  # the one place: a bug in one item must not lose its siblings
        reason = f"bug: {type(error).__name__}: {error}"
        row = row._replace(reason=reason, error=traceback.format_exc(), retryable=True)
    return row._replace(seconds=time.monotonic() - started, usage=tuple(meter.values()))


def _process(piece: Work) -> Item | Drop:
    if isinstance(piece.given, Entry):
        assert isinstance(piece.worker, Source)
        if piece.given.problem:
            raise ItemError("bad_row", piece.given.problem)
        return Item(sample=piece.worker.read(piece.given, piece.workspace))
    assert isinstance(piece.worker, Stage)
    item = Item.model_validate_json(piece.given)
    return piece.worker.process(item, piece.workspace, piece.assigned)


def in_share(item_id: str, rank: int, world: int) -> bool:
    """Whether an item belongs to a rank; depends on the id alone, so adding items moves none."""
    return int(digest(item_id), 16) % world == rank
