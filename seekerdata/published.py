"""Published: a dataset folder as it was built or pulled, its files with their hashes; the manifest of a version.

What is read here is what the manifest beside (of a build) or inside (of a version) promises, byte for byte.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from seekerdata.dataset import CONFIGS
from seekerdata.errors import SeekerError
from seekerdata.repository import sha256_of

MANIFEST = "manifest.json"


class FileFacts(BaseModel):
    """What a file of a version must be."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Manifest(BaseModel):
    """`manifest.json` of a version: every other file of it, and how the dataset was made."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str | None
    """The version's tag; None for data that went to `main` between versions."""
    rows: dict[str, int]
    files: dict[str, FileFacts]
    stages: list[dict[str, Any]]
    versions: dict[str, str]
    withheld: int = 0
    """Rows without their pictures, because of a licence."""

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, FileFacts]) -> dict[str, FileFacts]:
        """A manifest comes from the network: no file of it may leave its folder."""
        for path in files:
            if PurePosixPath(path).is_absolute() or {"..", ""} & set(path.split("/")) or "\\" in path:
                raise ValueError(f"path '{path}' leaves its folder")
        return files

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"


class Shard(NamedTuple):
    """One Parquet file."""

    path: str
    """In the dataset's folder: `qa/train-00000-of-00001.parquet`."""
    sha256: str

    @property
    def config(self) -> str:
        return self.path.partition("/")[0]


class Dataset(NamedTuple):
    """A dataset folder whose files are what its manifest says."""

    folder: Path
    shards: Sequence[Shard]
    manifest: Manifest


def read_manifest(text: str | bytes, where: str) -> Manifest:
    """Raises SeekerError if this is no manifest of a version."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise SeekerError(f"{where}: is not a version that seekerdata pushed: {place}: {first['msg']}") from None


def read_dataset(folder: Path) -> Dataset:
    """The dataset of a build, or a version that was pulled.

    Raises:
        SeekerError: it is neither, or a file is not what was built.
    """
    inside, beside = folder / MANIFEST, folder.parent / MANIFEST
    if inside.is_file():
        manifest = read_manifest(inside.read_bytes(), str(inside))
        hashes = {path: facts.sha256 for path, facts in manifest.files.items()}
    elif beside.is_file():
        manifest, hashes = _of_build(beside, folder)
    else:
        raise SeekerError(f"{folder}: no {MANIFEST} beside or in it; give the dataset folder of a finished build")
    wrong = next(differing(folder, hashes), "")
    if wrong:
        raise SeekerError(f"{folder / wrong}: is not what {MANIFEST} says was written; build or pull it again")
    shards = [Shard(path, sha256) for path, sha256 in sorted(hashes.items()) if _is_shard(path)]
    return Dataset(folder, shards, manifest)


def differing(folder: Path, hashes: Mapping[str, str]) -> Iterator[str]:
    """The files that are missing in a folder or have other bytes."""
    for path, sha256 in hashes.items():
        file = folder / path
        if not file.is_file() or sha256_of(file) != sha256:
            yield path


def _of_build(path: Path, folder: Path) -> tuple[Manifest, dict[str, str]]:
    """What of a run's manifest is for others to know, and the hashes of its dataset's files."""
    try:
        run = json.loads(path.read_bytes())
        files, prefix = run["files"], f"{folder.name}/"
        hashes = {name.removeprefix(prefix): sha256 for name, sha256 in files.items() if name.startswith(prefix)}
        package = {k: v for k, v in run["versions"].items() if k != "platform"}
        facts = {"name": run["name"], "rows": run["rows"], "stages": run["stages"], "versions": package}
        manifest = Manifest(version=None, files={}, **facts)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SeekerError(f"{path}: is not the manifest of a build") from None
    if not any(map(_is_shard, hashes)):
        raise SeekerError(f"{folder}: {path} knows no files of it; give the dataset folder of a finished build")
    return manifest, hashes


def _is_shard(path: str) -> bool:
    return path.partition("/")[0] in CONFIGS and path.endswith(".parquet")
