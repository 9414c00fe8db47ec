"""Table: an annotation file as rows: JSON, JSON lines, TSV, CSV or parquet. A file that is none is said in one line."""

import ast
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError


def find_table(data: Path, patterns: Sequence[str], name: str) -> Path:
    """The first file in `data` that fits one of the patterns, in their order.

    Raises:
        SeekerError: there is none; says how to get it.
    """
    for pattern in patterns:
        if found := sorted(path for path in data.glob(pattern) if path.is_file()):
            return found[0]
    raise SeekerError(
        f"{data}: no {patterns[0]} there; get it by: seekereval data {name}, or name its folder by --data"
    )


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a file, each a dict by column.

    Args:
        path: the file; its ending says its format.
        needed: columns without which it is another file.

    Raises:
        SeekerError: it cannot be read, is not in its format, or has not those columns.
    """
    try:
        rows = _READERS[path.suffix.lower()](path)
    except OSError as error:
        raise SeekerError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, csv.Error) as error:
        hint = "half a download, or a Git LFS pointer?"
        raise SeekerError(f"{path}: is not {path.suffix[1:]} ({error}); {hint}") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SeekerError(f"{path}: holds no rows")
    known = {key for row in rows for key in row}
    if missing := [column for column in needed if column not in known]:
        raise SeekerError(f"{path}: has no column {', '.join(missing)}; is it this benchmark's file?")
    return rows


def as_list(value: Any) -> list[Any]:
    """A list that a table may have written as text: `["a", "b"]`; any other single value is a list of one."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return [value]
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def text(value: Any) -> str:
    """A cell as text; nothing is empty."""
    return "" if value is None else str(value).strip()


def seconds(value: Any) -> float | None:
    """A cell as a length of time; None if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes().decode("utf-8-sig"))


def _json_lines(path: Path) -> Any:
    with path.open(encoding="utf-8-sig") as file:
        return [json.loads(line) for line in file if line.strip()]


def _separated(path: Path) -> Any:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))


def _parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from None


_READERS = {
    ".json": _json, ".jsonl": _json_lines, ".tsv": _separated, ".csv": _separated, ".parquet": _parquet,
}  # fmt: skip
