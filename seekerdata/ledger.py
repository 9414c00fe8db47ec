"""Ledger: what is done, by stage, item and key. The only source of truth for resuming a run (SQLite, WAL).

A row's key hashes everything that decided its outcome: the stage's fingerprint, its input, what was assigned. A row
with the same key never has to be made again; rows with other keys stay, so that going back to an earlier recipe is
free. `current` says which key of each item belongs to the run as it stands.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from seekerdata.errors import SeekerError
from seekerdata.stage import Status
from seekerdata.usage import Usage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    stage TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    error TEXT NOT NULL, retryable INTEGER NOT NULL, output TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (stage, id, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS current (
    stage TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (stage, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    attempt TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, PRIMARY KEY (attempt, model)) WITHOUT ROWID;
"""
_COLUMNS = ("stage", "id", "key", "status", "reason", "error", "retryable", "output", "seconds")


class Row(NamedTuple):
    """One item at one stage. `output` is the item's JSON, of a dropped one its facts or nothing; `error` a traceback if
    it is a bug."""

    stage: str
    id: str
    key: str
    status: Status
    reason: str = ""
    error: str = ""
    retryable: bool = False
    output: str = ""
    seconds: float = 0.0
    usage: tuple[Usage, ...] = ()
    """What its model calls took; written beside the row, not into it, and never overwritten by a later attempt."""


class Ledger:
    """The rows of one run. One process writes a ledger; committed rows survive any kill.

    Args:
        path: the database file, made if missing.
        read_also: another ledger whose rows count as done too (a rank reads the run's).

    Raises:
        SeekerError: the file cannot be opened or is not a ledger.
    """

    def __init__(self, path: Path, read_also: Path | None = None) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise SeekerError(f"cannot use {path} as the run's ledger: {error}") from None
        self._tables = ["rows"]
        self._whole = None if read_also else "main"
        if read_also and read_also.exists():
            self._db.execute("ATTACH DATABASE ? AS other", (f"{read_also}",))
            self._tables.append("other.rows")
            self._whole = "other"

    def close(self) -> None:
        self._db.close()

    def find(self, stage: str, item_id: str, key: str) -> Row | None:
        """The row made under this key, None if there is none."""
        for table in self._tables:
            query = f"SELECT {', '.join(_COLUMNS)} FROM {table} WHERE stage = ? AND id = ? AND key = ?"
            if found := self._db.execute(query, (stage, item_id, key)).fetchone():
                return _row(found)
        return None

    def add(self, row: Row) -> None:
        """Write a finished row; from here on it survives a kill.

        Raises:
            SeekerError: the disk is full or the file cannot be written.
        """
        with self._writing():
            self._db.execute(
                f"INSERT OR REPLACE INTO rows VALUES ({', '.join('?' * len(_COLUMNS))})", row[: len(_COLUMNS)]
            )
            self._db.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", row[:3])
            attempt = uuid4().hex
            spent = ((attempt, *usage) for usage in row.usage)
            self._db.executemany("INSERT INTO spent VALUES (?, ?, ?, ?, ?)", spent)

    def spent(self) -> list[Usage]:
        """What all model calls took by model: of every attempt, also for rows that no longer belong to the run."""
        tables = [table.replace("rows", "spent") for table in self._tables]
        query = "SELECT model, sum(calls), sum(input_tokens), sum(output_tokens) FROM {} GROUP BY model"
        return [Usage(*found) for table in tables for found in self._db.execute(query.format(table))]

    def begin(self, stage: str) -> None:
        """Forget which rows of a stage belong to the run; the rows stay."""
        with self._writing():
            self._db.execute("DELETE FROM current WHERE stage = ?", (stage,))

    def mark(self, stage: str, keys: Iterable[tuple[str, str]]) -> None:
        """Say that rows made earlier, as (id, key), belong to the run."""
        marks = ((stage, item_id, key) for item_id, key in keys)
        with self._writing():
            self._db.executemany("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", marks)

    def rows(self, stage: str, status: Status | None = None) -> Iterator[Row]:
        """The run's rows of a stage, sorted by id."""
        columns = ", ".join(f"r.{name}" for name in _COLUMNS)
        yield from map(_row, self._current(stage, columns, status))

    def ids(self, stage: str, status: Status) -> list[str]:
        """Ids of the run's rows of a stage with this status, sorted."""
        return [row[0] for row in self._current(stage, "r.id", status)]

    def keys(self, stage: str) -> list[tuple[str, str]]:
        """Id and key of the run's rows of a stage, sorted by id."""
        return [(item_id, key) for item_id, key in self._current(stage, "r.id, r.key")]

    def whole(self, stage: str) -> Iterator[str]:
        """The JSON of every item that a stage kept, also for a rank: there, as the run's own ledger has them."""
        if self._whole is None:
            return
        query = (
            f"SELECT r.output FROM {self._whole}.current c JOIN {self._whole}.rows r USING (stage, id, key) "
            "WHERE c.stage = ? AND r.status = ? ORDER BY c.id"
        )
        yield from (row[0] for row in self._db.execute(query, (stage, Status.KEPT)))

    def current(self, stage: str, item_id: str) -> Row | None:
        """The run's row of one item at a stage, None if it did not get there."""
        columns = ", ".join(f"r.{name}" for name in _COLUMNS)
        return next(map(_row, self._current(stage, columns, item_id=item_id)), None)

    def output(self, stage: str, item_id: str) -> str:
        """The JSON of one item as a stage left it."""
        (row,) = self._current(stage, "r.output", Status.KEPT, item_id)
        return row[0]

    def counts(self, stage: str) -> dict[str, Any]:
        """Rows by status, reasons by their first word, and seconds of work, over the run's rows of a stage."""
        facts = list(self._current(stage, "r.status, r.reason, r.seconds"))
        statuses = Counter(status for status, _, _ in facts)
        reasons = Counter(reason.split(":")[0] for _, reason, _ in facts if reason)
        numbers = {str(status): statuses[status] for status in Status}
        return {
            **numbers,
            "reasons": dict(sorted(reasons.items())),
            "seconds": round(sum(f[2] for f in facts), 3),
        }

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction."""
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            hint = "finished work is kept, run the same command again"
            raise SeekerError(f"cannot write {self.path}: {error}; {hint}") from None

    def _current(
        self, stage: str, columns: str, status: Status | None = None, item_id: str | None = None
    ) -> Iterator[tuple]:
        for table in self._tables:
            query = f"SELECT {columns} FROM current c JOIN {table} r USING (stage, id, key) WHERE c.stage = ?"
            values = [stage]
            for column, value in (("r.status", status), ("c.id", item_id)):
                if value is not None:
                    query += f" AND {column} = ?"
                    values.append(value)
            yield from self._db.execute(f"{query} ORDER BY c.id", values)

    def take_over(self, other: Path) -> None:
        """Copy another ledger's rows into this one (the merge of ranks); copying twice changes nothing."""
        self._db.execute("ATTACH DATABASE ? AS rank", (f"{other}",))
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO main.rows SELECT * FROM rank.rows")
            self._db.execute("INSERT OR IGNORE INTO main.spent SELECT * FROM rank.spent")
        self._db.execute("DETACH DATABASE rank")


def _row(values: tuple) -> Row:
    return Row(*values)._replace(status=Status(values[3]), retryable=bool(values[6]))
