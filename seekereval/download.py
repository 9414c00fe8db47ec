"""Download: a benchmark's files from the Hugging Face Hub, unpacked. A killed one goes on where it was.

The disk is asked before anything is fetched or unpacked. What was unpacked is noted in the folder, so that an archive
may then be deleted.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, Field

from seekerdata.errors import SeekerError
from seekerdata.hub import reaching
from seekerdata.workspace import room_needed, write_atomically
from seekereval.archive import Archive, unpack, unpacked_bytes
from seekereval.benchmark import Benchmark, Hub

Told = Callable[[str], None]
"""Is told, in one line each, what is being done."""
ELSEWHERE = "a folder that was filled elsewhere is checked by --check --data FOLDER"


class Record(BaseModel):
    """What is known of a folder's files from earlier calls."""

    commit: str = ""
    """The Hub's commit they come from."""
    unpacked: dict[str, int] = Field(default_factory=dict)
    """Archives that are unpacked, by their path in the folder, with their size in bytes."""


class Remote(NamedTuple):
    """A file on the Hub."""

    path: str
    size: int


def download(which: Benchmark, data: Path, told: Told = lambda line: None) -> Record:
    """Fetch what is missing in `data` and unpack what is not unpacked yet.

    Raises:
        SeekerError: no room, no network, no such dataset, terms not accepted, a bad archive.
    """
    hub = which.hub
    if not hub.id:
        raise SeekerError(f"{which.plugin_name()}: is made on this machine, there is nothing to download")
    try:
        with room_needed(data):
            data.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise SeekerError(f"{data}: is a file, not a folder; name another by --data") from None
    record = read_record(data, hub)
    with reaching(hub.id, hub.revision, ELSEWHERE):
        commit, files = _listed(hub)
    wanted = [file for file in files if record.unpacked.get(file.path) != file.size]
    missing = [file for file in wanted if not _has(data, file)]
    packed = [file for file in wanted if any(fnmatch(file.path, archive.files) for archive in hub.archives)]
    to_unpack = max(0, sum(file.size for file in packed) - _unpacked_bytes(hub.archives, data))
    _ask_disk(data, sum(file.size for file in missing) + to_unpack, "to download and unpack it")
    told(f"{hub.id} at {commit[:12]}: {len(missing)} of {len(files)} files to fetch, {_gb(missing)}")
    with reaching(hub.id, hub.revision, ELSEWHERE), room_needed(data):
        for file in wanted:
            _fetch(hub, commit, file, data)
    record = record.model_copy(update={"commit": commit})
    _write_record(data, hub, record)
    return unpack_all(hub, data, record, told)


def unpack_all(hub: Hub, data: Path, record: Record, told: Told = lambda line: None) -> Record:
    """Unpack every archive in `data` that is not noted as unpacked; each is noted once it is.

    Raises:
        SeekerError: no room, or a bad archive.
    """
    waiting = [(archive, parts) for archive in hub.archives for parts in archive.found(data)]
    waiting = [(archive, parts) for archive, parts in waiting if not _is_noted(record, parts, data)]
    there = _unpacked_bytes([archive for archive, _ in waiting], data)
    _ask_disk(data, sum(unpacked_bytes(*one) for one in waiting) - there, "to unpack it")
    for archive, parts in waiting:
        told(f"unpacking {parts[0].relative_to(data)}" + f" and {len(parts) - 1} more parts" * (len(parts) > 1))
        unpack(archive, parts, data)
        noted = {part.relative_to(data).as_posix(): part.stat().st_size for part in parts}
        record = record.model_copy(update={"unpacked": {**record.unpacked, **noted}})
        _write_record(data, hub, record)
    return record


def read_record(data: Path, hub: Hub) -> Record:
    """What earlier calls noted of a dataset in this folder. Raises SeekerError if the note is not one."""
    path = _record_path(data, hub)
    try:
        return Record.model_validate_json(path.read_text())
    except FileNotFoundError:
        return Record()
    except ValueError:
        raise SeekerError(f"{path}: is not what seekereval wrote there; delete it") from None


def _record_path(data: Path, hub: Hub) -> Path:
    return data / f".seekereval-{hub.id.replace('/', '--')}.json"


def _write_record(data: Path, hub: Hub, record: Record) -> None:
    text = json.dumps(record.model_dump(), indent=1, sort_keys=True)
    write_atomically(_record_path(data, hub), text.encode())


def _listed(hub: Hub) -> tuple[str, list[Remote]]:
    """The commit and the files that are needed, as the Hub has them."""
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(hub.id, revision=hub.revision, files_metadata=True)
    found = [Remote(file.rfilename, file.size or 0) for file in info.siblings or ()]
    files = [file for file in found if any(fnmatch(file.path, pattern) for pattern in hub.files)]
    if not files:
        raise SeekerError(f"{hub.id}: has no file {' or '.join(hub.files)} at {hub.revision}; was it moved?")
    return info.sha or hub.revision, files


def _fetch(hub: Hub, commit: str, file: Remote, data: Path) -> None:
    """One file, continued if a part of it is here; nothing is sent if all of it is."""
    from huggingface_hub import hf_hub_download

    hf_hub_download(hub.id, file.path, repo_type="dataset", revision=commit, local_dir=data)


def _has(data: Path, file: Remote) -> bool:
    path = data / file.path
    return path.is_file() and path.stat().st_size == file.size


def _is_noted(record: Record, parts: Sequence[Path], data: Path) -> bool:
    sizes = {part.relative_to(data).as_posix(): part.stat().st_size for part in parts}
    return all(record.unpacked.get(path) == size for path, size in sizes.items())


def _unpacked_bytes(archives: Sequence[Archive], data: Path) -> int:
    """What lies already where archives are unpacked to; it is not written again."""
    folders = {data / archive.into.partition("{")[0] for archive in archives}
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".zip"]
    return sum(path.stat().st_size for path in files)


def _ask_disk(data: Path, needed: int, why: str) -> None:
    """Raises SeekerError where the disk has less room than is needed."""
    free = shutil.disk_usage(data).free
    if needed > free:
        raise SeekerError(f"{data}: {needed / 1e9:.1f} GB are needed {why}, {free / 1e9:.1f} GB are free")


def _gb(files: Sequence[Remote]) -> str:
    return f"{sum(file.size for file in files) / 1e9:.2f} GB"
