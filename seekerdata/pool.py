"""Pool: workers that each do several pieces of work at once, fed through pipes. Results come in the order they finish.

A worker is a fresh (spawned) process, or this one; it ends when its pipe closes, however the other side ended.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeVar

from seekerdata.errors import SeekerError

R = TypeVar("R")

M_ARENA_MAX = -8
"""As in glibc's malloc.h; other C libraries have no `mallopt`."""

Do = Callable[[Any], R]
"""What is done with a piece: a function of a module, so that another process finds it too."""


class Pool:
    """Workers, each started when there is work for it, and kept until `close`.

    Args:
        own_processes: whether each worker is a process; else there is one, inside this process.
    """

    def __init__(self, own_processes: bool) -> None:
        self._own_processes = own_processes
        self._workers: list[_Worker] = []

    def run(self, do: Do[R], pieces: Iterable[Any], workers: int, threads: int, ahead: int = 0) -> Iterator[R]:
        """What `do` gives for every piece, in the order they finish.

        Args:
            do: raises only what concerns every piece.
            pieces: taken from as there is room, so that it may stop at any time; None asks to wait for a result.
            workers: how many may be used.
            threads: pieces that one worker does at once.
            ahead: pieces that wait at each worker besides, to keep it busy.

        Raises:
            SeekerError: a worker was killed.
        """
        used: list[_Worker] = []
        for piece in pieces:
            if piece is None:
                yield from _finished(used)
                continue
            if len(used) < workers and all(worker.busy for worker in used):
                used.append(self._worker(len(used)))
                used[-1].begin(do, threads)
            min(used, key=lambda worker: worker.busy).send(piece)
            if len(used) == workers and all(worker.busy >= threads + ahead for worker in used):
                yield from _finished(used)
        while any(worker.busy for worker in used):
            yield from _finished(used)

    def close(self, now: bool = False) -> None:
        """Let the workers end; `now` does not wait for what they do."""
        for worker in self._workers:
            worker.close(now)
        self._workers = []

    def _worker(self, number: int) -> "_Worker":
        if number == len(self._workers):
            self._workers.append(_Worker(self._own_processes))
        return self._workers[number]


def _finished(workers: "list[_Worker]") -> Iterator[Any]:
    """What has finished; waits until something has."""
    ready = wait([worker.connection for worker in workers])
    for worker in workers:
        if worker.connection in ready:
            yield worker.receive()


class _Worker:
    """One worker as the pool sees it."""

    def __init__(self, own_process: bool) -> None:
        self.connection, inner = Pipe()
        self.busy = 0
        self._process = None
        if own_process:
            self._process = get_context("spawn").Process(target=_serve_process, args=(inner,), daemon=True)
            self._process.start()
            inner.close()
        else:
            Thread(target=_serve, args=(inner,), daemon=True).start()

    def begin(self, do: Do, threads: int) -> None:
        self.connection.send(_Begin(do, threads))

    def send(self, piece: Any) -> None:
        try:
            self.connection.send(piece)
        except BrokenPipeError:
            raise self._killed() from None
        self.busy += 1

    def receive(self) -> Any:
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._killed() from None
        self.busy -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self, now: bool) -> None:
        self.connection.close()
        if self._process:
            if now:
                self._process.kill()
            self._process.join()

    def _killed(self) -> SeekerError:
        code = None
        if self._process:
            self._process.join(5)
            code = self._process.exitcode
        how = "out of memory?" if code == -signal.SIGKILL else "its own words are above"
        hint = "finished work is kept, run the same command again, with fewer engine.workers if it needs less memory"
        return SeekerError(f"a worker process ended with code {code} ({how}); {hint}")


def _serve_process(connection: Connection) -> None:
    """A worker leaves Ctrl-C to its parent, and keeps libraries on one thread: the pool is the parallelism."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import cv2

    cv2.setNumThreads(1)
    _serve(connection)
    os._exit(0)  # not held up by threads that still wait for a model


class _Begin(NamedTuple):
    """What is done with the pieces that follow, and how many at once."""

    do: Do
    threads: int


def _serve(connection: Connection) -> None:
    """Hand pieces to threads until the pipe closes."""
    _share_memory()
    lock, pieces, threads = Lock(), SimpleQueue[Any](), 0
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = None
        if message is None or isinstance(message, _Begin):
            for _ in range(threads):
                pieces.put(None)
        if message is None:
            return
        if isinstance(message, _Begin):
            pieces, threads = SimpleQueue(), message.threads
            for _ in range(threads):
                Thread(target=_work, args=(connection, lock, message.do, pieces), daemon=True).start()
        else:
            pieces.put(message)


def _work(connection: Connection, lock: Lock, do: Do, pieces: "SimpleQueue[Any]") -> None:
    """One thread: does pieces until it is told to stop."""
    while (piece := pieces.get()) is not None:
        try:
            result = do(piece)
        except BaseException as error:  # carried to the other side, where it ends the run
            result = error
        with lock, suppress(OSError):  # the other side may be gone: nobody is left to tell
            connection.send(result)


def _share_memory() -> None:
    """Let all threads take memory from two places. glibc gives each its own, which keeps the frames it once held: 32
    plays of 256 frames then take four times as much (bench/calling.py memory)."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune:
        tune(M_ARENA_MAX, 2)
