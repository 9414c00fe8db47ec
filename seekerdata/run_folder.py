"""RunFolder: the folder of one run, its lock and its ledger. One run at a time; ranks each have a ledger of their own.

A run that finds ledgers of ranks takes their rows over, which is the merge.
"""

import fcntl
import json
import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import IO

from seekerdata.errors import SeekerError
from seekerdata.ledger import Ledger
from seekerdata.workspace import TEMPORARY

NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"}
"""SQLite's write-ahead log needs shared memory, which these do not have."""


class RunFolder:
    """Opens a run folder for writing.

    Args:
        out: the folder, made if missing.
        rank: None for the whole run, else this rank of `world`.

    Raises:
        SeekerError: another run works here (its pid and host are named), or the folder cannot be written.
    """

    def __init__(self, out: Path, rank: int | None = None, world: int = 1) -> None:
        if rank is not None and not 0 <= rank < world:
            raise SeekerError(f"--rank {rank} --world {world}: ranks count from 0 to {world - 1}")
        self.out = out
        self._rank_name = None if rank is None else f"{rank}-of-{world}"
        self._locks: list[IO[str]] = []

    def __enter__(self) -> "RunFolder":
        ranks = self.out / "ranks"
        try:
            (ranks if self._rank_name else self.out).mkdir(parents=True, exist_ok=True)
            _refuse_network_disk(self.out)
            if self._rank_name is None:
                for database in sorted(ranks.glob("*.db")):
                    self._lock(database.with_suffix(".lock"))
                self._lock(self.out / "run.lock")
                self.ledger = Ledger(self.out / "run.db")
                self._merge(ranks)
                for leftover in self.out.rglob(f"{TEMPORARY}*"):  # of a run that was killed while writing
                    leftover.unlink()
            else:
                self._lock(self.out / "run.lock", shared=True)
                self._lock(ranks / f"{self._rank_name}.lock")
                self.ledger = Ledger(ranks / f"{self._rank_name}.db", read_also=self.out / "run.db")
        except OSError as error:
            self._unlock()
            raise SeekerError(f"{self.out}: cannot be written: {error.strerror}") from None
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ledger.close()
        self._unlock()

    def _merge(self, ranks: Path) -> None:
        for database in sorted(ranks.glob("*.db")):
            self.ledger.take_over(database)
            for leftover in ranks.glob(f"{database.name}*"):
                leftover.unlink()

    def _lock(self, path: Path, shared: bool = False) -> None:
        """Take a lock that the system gives back when this process ends, however it ends."""
        file = open(path, "a+")  # noqa: SIM115  (held until the run ends)
        self._locks.append(file)
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SeekerError(f"{self.out}: {_holder(file.read())} is working here; wait for it or use --out") from None
        if not shared:
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
            file.flush()

    def _unlock(self) -> None:
        while self._locks:
            self._locks.pop().close()


def _holder(text: str) -> str:
    try:
        held = json.loads(text)
        return f"another run (pid {held['pid']} on {held['host']})"
    except (ValueError, KeyError):
        return "a run that works on a share (--rank)"


def _refuse_network_disk(out: Path) -> None:
    """The ledger must be on a local disk; one that is not would lose rows in silence."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, system, *_ = line.split()
        mount = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), mount)
        if out.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, system
    if kind in NETWORK_FILE_SYSTEMS:
        raise SeekerError(f"{out}: is on {kind}, where the ledger is not safe; use --out on a local disk")
