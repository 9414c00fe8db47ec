"""Engine: where a stage's work runs. It owns no truth: it is given pending work and hands back finished rows.

`local` runs in this process or in a pool of fresh (spawned) ones; a rank is a local engine on a share of the ids.
"""

import json
import os
import signal
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple

from seekerdata.errors import ItemError, SeekerError
from seekerdata.ledger import Row
from seekerdata.sample import digest
from seekerdata.stage import Drop, Entry, Item, Source, Stage, Status
from seekerdata.usage import metered
from seekerdata.workspace import Workspace

AHEAD = 4
"""Pieces of work handed to each worker ahead of time: enough to keep it busy, few enough to stop quickly."""


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
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Local":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=error is None, cancel_futures=True)

    def run(self, works: Iterable[Work]) -> Iterator[Row]:
        """Finished rows in the order they finish.

        Raises:
            SeekerError: something that concerns every item, such as a full disk.
        """
        if self._processes <= 1:
            yield from map(work, works)
            return
        pending: set[Future[Row]] = set()
        for piece in works:
            pending.add(self._workers().submit(work, piece))
            if len(pending) >= self._processes * AHEAD:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)

    def _workers(self) -> ProcessPoolExecutor:
        """The pool, started by the first piece of work: a resumed run with nothing to do starts none."""
        if self._pool is None:
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_quiet)
        return self._pool


def work(piece: Work) -> Row:
    """Do one piece. A bad item is a row; a bug is a row with its traceback; a user's mistake ends the run."""
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


def _quiet() -> None:
    """A worker leaves Ctrl-C to its parent, ends when its parent is killed, and keeps libraries on one thread: the
    pool is the parallelism."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import cv2

    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def in_share(item_id: str, rank: int, world: int) -> bool:
    """Whether an item belongs to a rank; depends on the id alone, so adding items moves none."""
    return int(digest(item_id), 16) % world == rank
