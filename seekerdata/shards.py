"""Shards: the Parquet files of a configuration, written and read a few rows at a time.

No rows, no file: `load_dataset` cannot read a split without rows, and says so in words nobody understands.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seekerdata.dataset import features
from seekerdata.errors import SeekerError

SHARD_BYTES = 400_000_000


def write_config(config: str, rows: Iterator[dict[str, Any]], folder: Path) -> int:
    """Write a configuration as Parquet shards `<folder>/<config>/train-*.parquet`; returns the number of rows."""
    target = folder / config
    target.mkdir(parents=True)
    count, paths = 0, list[Path]()
    for shard in _shards(rows):
        paths.append(target / f"shard-{len(paths):05d}")
        _write_shard(shard, config, paths[-1])
        count += len(shard)
    for n, path in enumerate(paths):
        path.rename(target / f"train-{n:05d}-of-{len(paths):05d}.parquet")
    return count


def read(folder: Path, config: str, pictures: bool = True) -> Iterator[dict[str, Any]]:
    """The rows of a configuration of a dataset folder, one at a time, as `load_dataset` gives them; without `pictures`
    as they are kept: a picture as the bytes of its file, facts as JSON.

    Raises:
        SeekerError: the folder is not a dataset of this project.
    """
    import pyarrow.parquet

    if not (folder / config).is_dir():
        raise SeekerError(f"{folder}: no '{config}' configuration here; give the dataset folder of a build")
    files = sorted((folder / config).glob("train-*.parquet"))
    wanted = features(config)
    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=16):
            for row in batch.to_pylist():
                yield wanted.decode_example(row) if pictures else row


def _write_shard(rows: list[dict[str, Any]], config: str, path: Path) -> None:
    from datasets import Dataset, disable_progress_bars

    class Shard(Dataset):
        """Rows on their way to a file: to find out its fingerprint, a `Dataset` would pickle and hash all pictures."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings, fingerprint="none")

    disable_progress_bars()
    Shard.from_list(rows, features=features(config)).to_parquet(str(path))


def _shards(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of at most about `SHARD_BYTES` of pictures."""
    shard, size = list[dict[str, Any]](), 0
    for row in rows:
        inside = [row.get("image"), row.get("raw_image"), *row.get("images", [])]
        weight = sum(len(picture["bytes"]) for picture in inside if picture)
        if shard and size + weight > SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append(row)
        size += weight
    if shard:
        yield shard
