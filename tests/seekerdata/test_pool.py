"""Pool: several pieces at once, results as they finish, and an end that is said when a worker is killed."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from seekerdata import engine
from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekerdata.pool import Pool

together = threading.Barrier(3)


def meet(piece: int) -> int:
    """Gives the piece back when three of them are under way."""
    together.wait(timeout=20)
    return piece


def whose(piece: int) -> tuple[int, int]:
    return piece, os.getpid()


def fall(piece: int) -> int:
    if piece == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def refuse(piece: int) -> int:
    raise SeekerError(f"no room for {piece}")


def test_threads_of_this_process_work_at_once() -> None:
    pool = Pool(own_processes=False)
    assert sorted(pool.run(meet, range(9), workers=1, threads=3)) == list(range(9))
    pool.close()


def test_processes_share_the_pieces_and_are_kept_for_the_next_stage() -> None:
    pool = Pool(own_processes=True)
    found = dict(pool.run(whose, range(40), workers=2, threads=2, ahead=1))
    again = dict(pool.run(whose, range(40), workers=1, threads=1))
    pool.close()
    assert sorted(found) == sorted(again) == list(range(40))
    assert len(set(found.values())) == 2 and len(set(again.values())) == 1
    assert set(again.values()) <= set(found.values()) and os.getpid() not in found.values()


def test_pieces_are_taken_only_when_there_is_room() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    pool = Pool(own_processes=False)
    results = pool.run(whose, pieces(), workers=1, threads=2, ahead=1)
    next(results)
    assert len(taken) == 3
    results.close()
    pool.close(now=True)


@pytest.mark.parametrize("own_processes", [False, True])
def test_what_concerns_every_piece_ends_the_run(own_processes: bool) -> None:
    pool = Pool(own_processes)
    with pytest.raises(SeekerError, match="no room for 0"):
        list(pool.run(refuse, range(1), workers=2, threads=1))
    pool.close(now=True)


def test_a_worker_that_is_killed_is_said_and_loses_nothing_that_was_finished() -> None:
    pool = Pool(own_processes=True)
    done = []
    with pytest.raises(SeekerError, match=r"ended with code -9 \(out of memory\?\); finished work is kept"):
        for piece in pool.run(fall, range(4), workers=1, threads=1):
            done.append(piece)
    pool.close(now=True)
    assert done == [0, 1, 2]


@pytest.mark.parametrize(
    ("models", "loads_weights", "processes"),
    [([], False, 2), ([], True, 1), (["hf/org/model"], False, 1), (["openai-api/local/any"], False, 2)],
)
def test_weights_are_loaded_by_one_process_of_a_run(
    models: list[str], loads_weights: bool, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "work", whose)
    settings = [ModelSettings(model=model, concurrency=6) for model in models]
    with engine.Local(2) as local:
        pids = {pid for _, pid in local.run(range(1, 61), settings, loads_weights)}  # type: ignore[arg-type, misc]
    assert len(pids) == processes
