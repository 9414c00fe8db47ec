"""Rights: which rows of a dataset may be published with their pictures, by the licences of their videos.

A row whose pictures are withheld keeps its text, times, boxes and masks, and says `media: withheld`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.errors import SeekerError
from seekerdata.licence import Licence, licence
from seekerdata.published import Dataset, Shard
from seekerdata.repository import sha256_of

FIRST = 3
"""Ids that are named of the rows that are refused."""
ROW_GROUP = 100
"""Rows with pictures that are read at once by who wants one of them."""


class Finding(NamedTuple):
    """The rows under one licence."""

    licence: Licence
    origins: Sequence[str]
    rows: int
    """In all configurations."""
    ids: Sequence[str]
    """The first of them."""


def findings(dataset: Dataset) -> list[Finding]:
    """Every licence of the rows' videos, those that forbid pictures first."""
    found: dict[str, Finding] = {}
    for shard in dataset.shards:
        for row in columns(dataset.folder / shard.path, ["id", "video_licence", "video_origin"]):
            name = row["video_licence"] or ""
            known = found.get(name) or Finding(licence(name), [], 0, [])
            origins = {*known.origins, row["video_origin"] or "not said"}
            ids = list(dict.fromkeys([*known.ids, row["id"]]))[:FIRST]
            found[name] = known._replace(rows=known.rows + 1, origins=sorted(origins), ids=ids)
    return sorted(found.values(), key=lambda one: (not one.licence.refusal, -one.rows, one.licence.name))


def refuse_forbidden(found: Sequence[Finding]) -> None:
    """Raises SeekerError, with every licence, if pictures of some rows may not be published."""
    closed = [one for one in found if one.licence.refusal]
    if not closed:
        return
    told = [
        f"{one.rows} rows under '{one.licence.name}' from {', '.join(one.origins)}"
        f" ({one.licence.refusal}; first {', '.join(one.ids)})"
        for one in closed
    ]
    hint = "--frames reference publishes those rows without their pictures"
    raise SeekerError(f"frames may not be published of {'; '.join(told)}. {hint}")


def without_pictures(dataset: Dataset, folder: Path) -> tuple[dict[Shard, Path], int]:
    """The shards with the pictures of forbidden rows left out, and how many rows those are.

    A shard without such rows stays where it is; others are written to `folder`.
    """
    shards, withheld = dict[Shard, Path](), 0
    for shard in dataset.shards:
        file = dataset.folder / shard.path
        rows = columns(file, ["video_licence", "image.path"])
        closed = [row["image"] is not None for row in rows if licence(row["video_licence"] or "").refusal]
        withheld += len(closed)
        if not any(closed):  # no such rows, or without pictures already
            shards[shard] = file
            continue
        target = folder / shard.path
        target.parent.mkdir(parents=True, exist_ok=True)
        withhold(file, target)
        shards[Shard(shard.path, sha256_of(target))] = target
    return shards, withheld


def columns(file: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Some columns of a Parquet file, row by row; the others are not read."""
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=4096, columns=list(names)):
        yield from batch.to_pylist()


def withhold(file: Path, target: Path) -> None:
    """Write a shard to `target` without the pictures of forbidden rows."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(file)
    closed = [licence(name or "").refusal != "" for name in table["video_licence"].to_pylist()]
    instead: dict[str, Any] = {"image": None, "raw_image": None, "images": [], "media": "withheld"}
    for name in [name for name in instead if name in table.column_names]:
        place, field = table.schema.get_field_index(name), table.schema.field(name)
        value = pyarrow.scalar(instead[name], field.type)
        freed = pyarrow.compute.if_else(pyarrow.array(closed), value, table[name])
        table = table.set_column(place, field, freed)
    # Row groups and chunks as `datasets` writes them, so that the hub's viewer and its storage find the same again.
    settings = {"write_page_index": True, "use_content_defined_chunking": True}
    pyarrow.parquet.write_table(table, target, row_group_size=ROW_GROUP, **settings)
