"""Release: the files of one version of a dataset as they will stand on the hub, and its CHANGELOG.md.

The same dataset and the same versions before it give the same bytes, so that pushing them again changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seekerdata.difference import Difference, Side, compare
from seekerdata.errors import SeekerError
from seekerdata.front_page import write_front_page
from seekerdata.published import MANIFEST, Dataset, FileFacts, Manifest, Shard, read_manifest
from seekerdata.repository import Repository, sha256_of
from seekerdata.rights import Finding, findings, without_pictures
from seekerdata.tag import Tag

CHANGELOG = "CHANGELOG.md"
UNRELEASED = "Unreleased"


class Prepared(NamedTuple):
    """What of a version does not depend on those before it."""

    dataset: Dataset
    shards: Mapping[Shard, Path]
    findings: Sequence[Finding]
    withheld: int
    page: Mapping[str, Path]


class Previous(NamedTuple):
    """The versions on the hub, and the last of them."""

    changelog: str
    """As it stands on `main`."""
    tags: Sequence[Tag]
    manifest: Manifest | None
    """Of the last version."""
    open: Callable[[Shard], Path]
    """Gives a shard of the last version."""


class Release(NamedTuple):
    """Files of a version by their paths there."""

    files: Mapping[str, Path]
    manifest: Manifest


def prepare(dataset: Dataset, repo: str, withhold: bool, folder: Path) -> Prepared:
    """Shards and card of a version; what is not in the dataset already is written to a folder."""
    found = findings(dataset)
    shards, withheld = {shard: dataset.folder / shard.path for shard in dataset.shards}, dataset.manifest.withheld
    if withhold:
        shards, withheld = without_pictures(dataset, folder)
    page = write_front_page(dataset.folder / "README.md", repo, shards, found, withheld, folder)
    return Prepared(dataset, shards, found, withheld, page)


def release(prepared: Prepared, tag: Tag | None, previous: Previous, folder: Path) -> Release:
    """The version, with its entry in the changelog and its manifest."""
    rows = prepared.dataset.manifest.rows
    last = previous.tags[-1] if previous.tags else None
    changes = _since(previous, list(prepared.shards), lambda shard: prepared.shards[shard])
    title = str(tag) if tag else UNRELEASED
    if last and not tag and not any(changes):
        title = ""  # the last version, once more
    changelog = folder / CHANGELOG
    changelog.write_text(_changelog(title, rows, changes, previous))
    files = {shard.path: file for shard, file in prepared.shards.items()} | dict(prepared.page) | {CHANGELOG: changelog}
    facts = {path: FileFacts(sha256=sha256_of(file), size=file.stat().st_size) for path, file in sorted(files.items())}
    version = str(tag) if tag else str(last) if last and not title else None
    update = {"version": version, "files": facts, "withheld": prepared.withheld}
    manifest = prepared.dataset.manifest.model_copy(update=update)
    path = folder / MANIFEST
    path.write_text(manifest.text())
    return Release({**files, MANIFEST: path}, manifest)


def sections(changelog: str) -> dict[str, str]:
    """The entries of a changelog by their titles, newest first."""
    parts = [part.partition("\n") for part in f"\n{changelog}".split("\n## ")[1:]]
    return {title.strip(): text.strip() for title, _, text in parts}


def shards_of(manifest: Manifest) -> list[Shard]:
    """The Parquet files of a version."""
    return [Shard(path, facts.sha256) for path, facts in manifest.files.items() if path.endswith(".parquet")]


def manifest_of(repository: Repository, commit: str, folder: Path) -> Manifest:
    """The manifest of a version. Raises SeekerError if it has none."""
    where = f"{repository.id} at {commit[:12]}: {MANIFEST}"
    if MANIFEST not in repository.files(commit):
        raise SeekerError(f"{where} is missing; that is no version that seekerdata pushed")
    return read_manifest(repository.fetch(MANIFEST, commit, folder).read_bytes(), where)


def _since(previous: Previous, shards: Sequence[Shard], opened: Callable[[Shard], Path]) -> list[Difference]:
    if previous.manifest is None:
        return []
    return compare(Side(shards_of(previous.manifest), previous.open), Side(shards, opened))


def _changelog(title: str, rows: Mapping[str, int], changes: Sequence[Difference], previous: Previous) -> str:
    """One entry for every version that has a tag, and one for this if it differs from them."""
    known = {str(tag) for tag in previous.tags}
    kept = {name: text for name, text in sections(previous.changelog).items() if name in known}
    fresh = {title: _entry(rows, changes, previous.tags)} if title else {}
    parts = [f"## {name}\n\n{text}\n" for name, text in (fresh | kept).items()]
    return "\n".join(["# Changes from version to version\n", *parts])


def _entry(rows: Mapping[str, int], changes: Sequence[Difference], tags: Sequence[Tag]) -> str:
    by_config = {change.config: change for change in changes}
    lines = ["| configuration | rows | added | removed | changed |", "|---|---:|---:|---:|---:|"]
    for config, count in rows.items():
        change = by_config.get(config)
        figures = (len(change.added), len(change.removed), len(change.changed)) if change else (count, 0, 0)
        lines.append(f"| `{config}` | {count} | {' | '.join(map(str, figures))} |")
    lines += ["", f"Compared with {tags[-1]}." if tags else "The first version."]
    if tags and not any(changes):
        lines.append("No row differs.")
    for change in changes:
        told = [f"{name} in {n} rows" for name, n in change.by_column().items()]
        told += [f"{name} is new" for name in change.new_columns] + [f"{name} is gone" for name in change.gone_columns]
        if told:
            lines.append(f"`{change.config}`: {', '.join(told)}.")
    return "\n".join(lines)
