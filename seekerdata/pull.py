"""pull: a version from the hub, whole and checked hash by hash, or nothing. Also: which there are, and two compared."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.difference import Difference, Side, compare
from seekerdata.errors import SeekerError
from seekerdata.hub import is_place
from seekerdata.published import MANIFEST, Manifest, Shard, differing, read_dataset, read_manifest
from seekerdata.release import manifest_of, shards_of
from seekerdata.repository import MAIN, Repository, Told, sha256_of
from seekerdata.tag import is_tag
from seekerdata.workspace import room_needed


class Pulled(NamedTuple):
    """A version that lies here."""

    folder: Path
    commit: str
    rows: dict[str, int]
    fetched: bool
    """False if it lay here already."""


def pull(name: str, out: Path | None, told: Told) -> Pulled:
    """Download a version and check it.

    Args:
        name: `namespace/name`, or with `@` and a tag, branch or commit behind it.
        out: the folder to be; `<name>-<tag>` here by default.
        told: is told what is being done.

    Raises:
        SeekerError: there is no such version, a file is not what its manifest says, or `out` is something else.
    """
    id, _, revision = name.partition("@")
    repository = Repository(id, told)
    folder = out or Path(re.sub(r"[^\w.-]", "-", "-".join([id.rpartition("/")[2], *([revision] if revision else [])])))
    commit = repository.head(revision or MAIN)
    with tempfile.TemporaryDirectory(prefix="seekerdata-pull-") as made:
        manifest = _manifest(repository, commit, revision, Path(made))
    if folder.exists():
        _refuse_other(folder, manifest, name)
        return Pulled(folder, commit, manifest.rows, False)
    part = folder.absolute().parent / f".{folder.name}.part"
    with room_needed(part.parent):
        _fetch(repository, commit, manifest, part)
        shutil.rmtree(part / ".cache", ignore_errors=True)  # the hub's notes of what it fetched
        os.replace(part, folder)
    return Pulled(folder, commit, manifest.rows, True)


def list_versions(id: str, told: Told) -> list[dict[str, Any]]:
    """The versions on the hub, oldest first, with their rows."""
    repository = Repository(id, told)
    found = []
    for tag, commit in repository.tags().items():
        with tempfile.TemporaryDirectory(prefix="seekerdata-versions-") as made:
            manifest = _manifest(repository, commit, str(tag), Path(made))
        size = sum(facts.size for facts in manifest.files.values())
        found.append({"tag": str(tag), "commit": commit, "rows": manifest.rows, "bytes": size})
    return found


def diff(first: str, second: str, told: Told) -> list[Difference]:
    """What two datasets do not have in common; each is a folder, or `namespace/name@tag` on the hub."""
    with ExitStack() as stack:
        return compare(*(stack.enter_context(_side(name, told)) for name in (first, second)))


@contextmanager
def _side(name: str, told: Told) -> Iterator[Side]:
    if Path(name).is_dir() or is_place(name):
        dataset = read_dataset(Path(name))
        yield Side(dataset.shards, lambda shard: dataset.folder / shard.path)
        return
    id, _, revision = name.partition("@")
    repository = Repository(id, told)
    with tempfile.TemporaryDirectory(prefix="seekerdata-diff-") as made:
        folder = Path(made)
        commit = repository.head(revision or MAIN)

        def opened(shard: Shard) -> Path:
            file = repository.fetch(shard.path, commit, folder)
            if sha256_of(file) != shard.sha256:
                raise SeekerError(f"{name}: {shard.path} is not what {MANIFEST} says")
            return file

        yield Side(shards_of(_manifest(repository, commit, revision, folder)), opened)


def _manifest(repository: Repository, commit: str, revision: str, folder: Path) -> Manifest:
    manifest = manifest_of(repository, commit, folder)
    if is_tag(revision) and manifest.version != revision:
        there = manifest.version or "data between versions"
        raise SeekerError(f"{repository.id}@{revision}: {MANIFEST} there is of {there}: the tag was moved")
    return manifest


def _refuse_other(folder: Path, manifest: Manifest, name: str) -> None:
    """Raises SeekerError unless the folder is this very version."""
    path = folder / MANIFEST
    if not path.is_file():
        raise SeekerError(f"{folder}: is there and is no pulled version; name another by --out")
    here = read_manifest(path.read_bytes(), str(path))
    if here != manifest:
        moved = here.version and here.version == manifest.version
        reason = f"the tag was moved since then ({MANIFEST} differs)" if moved else "name another by --out"
        was = here.version or "a state of main"
        raise SeekerError(f"{folder}: is {was} as pulled before, not {name} now; {reason}")
    for wrong in differing(folder, {path: facts.sha256 for path, facts in manifest.files.items()}):
        raise SeekerError(f"{folder / wrong}: is not what was pulled; delete the folder and pull again")


def _fetch(repository: Repository, commit: str, manifest: Manifest, part: Path) -> None:
    """All files of a version into a folder of its own; those that are there and right stay.

    Raises:
        SeekerError: a file is not what the manifest says; it is deleted here, so that another pull asks for it anew.
    """
    remote = repository.files(commit)
    wanted = {path: facts.sha256 for path, facts in manifest.files.items()}
    for file in [file for file in part.rglob("*") if file.is_file() and ".cache" not in file.parts]:
        if file.relative_to(part).as_posix() not in wanted:  # of another version
            file.unlink()
    where = f"{repository.id} at {commit[:12]}"
    for number, path in enumerate(wanted, start=1):
        if path not in remote:
            raise SeekerError(f"{where}: {path} is missing, which {MANIFEST} names")
        if next(differing(part, {path: wanted[path]}), ""):
            repository.told(f"fetching {path} ({number} of {len(wanted)})")
            (part / path).unlink(missing_ok=True)
            repository.fetch(path, commit, part)
        if next(differing(part, {path: wanted[path]}), ""):
            (part / path).unlink()
            raise SeekerError(f"{where}: {path} is not what {MANIFEST} says; it was tampered with")
    repository.fetch(MANIFEST, commit, part)
