"""Difference: what two versions of a dataset do not have in common, row by row and column by column, by id.

Pictures are compared by their bytes and never decoded. Shards that both sides have are not read.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.dataset import CONFIGS
from seekerdata.published import Shard

DIGEST_BYTES = 8


class Side(NamedTuple):
    """One of the two: its shards, and how to get at the file of one."""

    shards: Sequence[Shard]
    open: Callable[[Shard], Path]


class Difference(NamedTuple):
    """What became of one configuration from the first side to the second."""

    config: str
    added: Sequence[str]
    removed: Sequence[str]
    changed: Mapping[str, Sequence[str]]
    """Ids with the columns that changed; columns that only one side has do not count."""
    new_columns: Sequence[str]
    gone_columns: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.new_columns or self.gone_columns)

    def by_column(self) -> dict[str, int]:
        """How many rows changed in each column, most first."""
        return dict(Counter(name for names in self.changed.values() for name in names).most_common())


def compare(first: Side, second: Side) -> list[Difference]:
    """Differences by configuration, in the order of `CONFIGS`."""
    shared = {shard.sha256 for shard in first.shards} & {shard.sha256 for shard in second.shards}
    return [_compared(config, *(_digests(side, config, shared) for side in (first, second))) for config in CONFIGS]


Digests = tuple[list[str], dict[str, bytes]]
"""Columns in order; by id, the digests of a row's columns one after another."""


def _compared(config: str, first: Digests, second: Digests) -> Difference:
    (columns, old), (other_columns, new) = first, second
    both = [name for name in columns if name in other_columns] if old and new else []
    changed = {}
    for row in old.keys() & new.keys():
        if columns == other_columns and old[row] == new[row]:
            continue
        pairs = ((name, _part(old[row], columns, name), _part(new[row], other_columns, name)) for name in both)
        if names := [name for name, before, after in pairs if before != after]:
            changed[row] = names
    return Difference(
        config,
        sorted(new.keys() - old.keys()),
        sorted(old.keys() - new.keys()),
        dict(sorted(changed.items())),
        [name for name in other_columns if name not in columns] if both else [],
        [name for name in columns if name not in other_columns] if both else [],
    )


def _part(digests: bytes, columns: Sequence[str], name: str) -> bytes:
    place = columns.index(name) * DIGEST_BYTES
    return digests[place : place + DIGEST_BYTES]


def _digests(side: Side, config: str, shared: set[str]) -> Digests:
    columns, found = list[str](), dict[str, bytes]()
    for shard in side.shards:
        if shard.config != config or shard.sha256 in shared:
            continue
        for row in _stored_rows(side.open(shard)):
            columns = columns or list(row)
            found[row["id"]] = b"".join(_digest(value) for value in row.values())
    return columns, found


def _stored_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file as they are stored: pictures as their bytes, JSON as text."""
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=16):
        yield from batch.to_pylist()


def _digest(value: Any) -> bytes:
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, dict) and isinstance(part.get("bytes"), bytes):
            part = hashlib.sha256(part["bytes"]).hexdigest()
        hashed.update(json.dumps(part, sort_keys=True, default=str).encode())
    return hashed.digest()
