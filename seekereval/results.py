"""Results: what a run left: its manifest, and every item with its reply and its grade.

Both files are written whole or not at all; what is read is checked line by line, and no item stands there twice.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from seekerdata.errors import SeekerError
from seekerdata.sample import digest
from seekerdata.workspace import write_atomically
from seekereval.item import Graded

if TYPE_CHECKING:
    from seekereval.benchmark import Benchmark

RESULTS, MANIFEST = "results.jsonl", "manifest.json"
LONGEST_VALUE = 160
MOST_FACTS = 32


class Results(NamedTuple):
    """A run folder in memory: `graded` in the order of the file."""

    path: Path
    manifest: dict[str, Any]
    graded: list[Graded]

    @property
    def name(self) -> str:
        """The folder's name: how reports call the run."""
        return self.path.resolve().name


def read_results(path: Path) -> Results:
    """Read the folder that a run or a scoring wrote.

    Raises:
        SeekerError: no such folder, a file is missing, or a line of it is not a graded item; names file and line.
    """
    try:
        lines = (path / RESULTS).read_text(encoding="utf-8").split("\n")
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeekerError(f"{error.filename}: no such file; {path} is not the folder of a finished run") from None
    except (OSError, ValueError) as error:
        raise SeekerError(f"{path}: cannot be read: {error}") from None
    if not isinstance(manifest, dict):
        raise SeekerError(f"{path / MANIFEST}: not a manifest; a manifest is a JSON object")
    graded: dict[str, Graded] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _graded(line, f"{path / RESULTS}:{number}")
        if row.item.id in graded:
            raise SeekerError(f"{path / RESULTS}:{number}: item {row.item.id} stands there twice")
        graded[row.item.id] = row
    return Results(path, manifest, list(graded.values()))


def write_results(path: Path, manifest: Mapping[str, Any], graded: Iterable[Graded]) -> Results:
    """Write the folder that `read_results` reads; the manifest last, so that with it all is there.

    Raises:
        SeekerError: the disk is full or not writable.
    """
    rows = list(graded)
    write_atomically(path / RESULTS, (f"{row.model_dump_json()}\n".encode() for row in rows))
    text = json.dumps(manifest, ensure_ascii=False, indent=2, default=str)
    write_atomically(path / MANIFEST, f"{text}\n".encode())
    return Results(path, json.loads(text), rows)


def benchmark_of(run: Results) -> "Benchmark | None":
    """The benchmark that a manifest names, with its settings; None if there is none of that name here."""
    from seekereval.benchmark import benchmark, known

    spec = str(run.manifest.get("settings", {}).get("benchmark", ""))
    return benchmark(spec) if spec.partition(":")[0].replace("-", "_") in known() else None


def leaves(manifest: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Every fact of a manifest by its dotted name, as text; lists stay together, and of a long list of named facts
    (hashes of files) the number and a hash over all stand for it."""
    found: dict[str, str] = {}
    for key, value in manifest.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and len(value) > MOST_FACTS:
            found[name] = f"{len(value)} facts, hash {digest(value)}"
        elif isinstance(value, Mapping) and value:
            found |= leaves(value, name)
        else:
            found[name] = _line(value)
    return found


def short(text: str, limit: int = LONGEST_VALUE) -> str:
    """One line of at most `limit` characters; what was cut is said by its length."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 20]}… ({len(line):,} characters)"


def groupings(graded: Sequence[Graded]) -> list[str]:
    """Names of the groupings that the items carry, in the order in which they are met."""
    return list(dict.fromkeys(key for row in graded for key in row.item.groups))


def _line(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _graded(line: str, where: str) -> Graded:
    try:
        return Graded.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise SeekerError(f"{where}: not a graded item: {place + ': ' if place else ''}{first['msg']}") from None
