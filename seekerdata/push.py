"""push: a dataset to the hub as one commit, and a tag once all of it was read back. A killed one goes on."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.dataset import CONFIGS
from seekerdata.errors import SeekerError
from seekerdata.front_page import PICTURES
from seekerdata.hub_commit import HubCommit, is_there
from seekerdata.published import MANIFEST, Shard, read_dataset
from seekerdata.release import CHANGELOG, Prepared, Previous, Release, manifest_of, prepare, release
from seekerdata.repository import RemoteFile, Repository, Told, sha256_of
from seekerdata.rights import findings, refuse_forbidden
from seekerdata.tag import Tag, check_new, read_tag

FRAMES = ("inside", "reference")
"""All pictures inside; or those that a licence forbids only by reference."""

THEIRS = {".gitattributes", ".gitignore", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"}
"""What a repository may hold that no push has made; of these a push writes README.md only."""


class Pushed(NamedTuple):
    """What a push did."""

    page: str
    commit: str
    """Where the data is."""
    made: bool
    """Whether that commit is new."""
    tag: str | None
    """What names the commit now."""
    wrong: Sequence[str]
    """Files that came back from the hub otherwise than they were sent: the reason why there is no tag."""


def push(dataset: Path, repo: str, tag: str | None, private: bool, frames: str, told: Told) -> Pushed:
    """Publish a dataset.

    Args:
        dataset: the dataset folder of a build, or one that was pulled.
        repo: `namespace/name`; made if it is not there.
        tag: names the version, such as `v1.0.0`; None leaves it at a new `main`.
        private: for a repository that is not there yet.
        frames: `reference` leaves out pictures whose video's licence forbids them, which else is an error.
        told: is told what is being done.

    Raises:
        SeekerError: a licence forbids it, or the hub or its user does.
    """
    repository, version = Repository(repo, told), read_tag(tag) if tag else None
    with tempfile.TemporaryDirectory(prefix="seekerdata-push-") as made:
        folder = Path(made)
        prepared = _prepared(dataset, repo, frames, folder, told)
        _need_token(repo)
        _open(repository, private)
        head, tags = repository.head(), repository.tags()
        remote = repository.files(head)
        _refuse_strangers(repository, remote)
        earlier = {known: commit for known, commit in tags.items() if version is None or known < version}
        fresh = release(prepared, version, _previous(repository, earlier, head, remote, folder / "previous"), folder)
        if version in tags and is_there(repository.files(tags[version]), fresh.files, ()):
            return Pushed(repository.page, tags[version], False, tag, ())
        if version:
            check_new(version, list(tags), repo)
        commit = _sent(repository, fresh, remote, head, told)
        wrong = _tagged(repository, fresh, commit, version, folder / "back") if version else []
        return Pushed(repository.page, commit, commit != head, None if wrong else tag, wrong)


def dry_run(dataset: Path, repo: str, tag: str | None, frames: str) -> dict[str, Any]:
    """What a push would send to an empty repository, and what it would refuse. Nothing is asked of the hub."""
    Repository(repo)
    version = read_tag(tag) if tag else None
    with tempfile.TemporaryDirectory(prefix="seekerdata-push-") as made:
        prepared = prepare(read_dataset(dataset), repo, frames == "reference", Path(made))
        first = Previous("", (), None, lambda shard: Path(shard.path))
        fresh = release(prepared, version, first, Path(made))
        files = {path: {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for path, file in fresh.files.items()}
    refused = [one for one in prepared.findings if one.licence.refusal]
    return {
        "repo": repo,
        "tag": tag,
        "rows": fresh.manifest.rows,
        "files": files,
        "licences": [{**one._asdict(), "licence": one.licence._asdict()} for one in prepared.findings],
        "withheld": prepared.withheld,
        "refused": [one.licence.name for one in refused] if frames == "inside" else [],
    }


def _prepared(dataset: Path, repo: str, frames: str, folder: Path, told: Told) -> Prepared:
    told(f"reading {dataset}")
    found = read_dataset(dataset)
    if frames == "inside":
        refuse_forbidden(findings(found))
    prepared = prepare(found, repo, frames == "reference", folder)
    if strict := sorted({one.licence.name for one in prepared.findings if not one.licence.commercial}):
        told(f"licences without commercial use: {', '.join(strict)}; the card says so")
    if prepared.withheld:
        told(f"{prepared.withheld} rows go without pictures")
    if not any(path.endswith(".png") for path in prepared.page):
        told("the card has no plots: pip install 'videoseeker-toolkit[eval]'")
    return prepared


def _need_token(repo: str) -> None:
    from huggingface_hub import get_token

    if not get_token():
        raise SeekerError(f"{repo}: no token; `hf auth login`, or HF_TOKEN, gives one that may write there")


def _open(repository: Repository, private: bool) -> None:
    if not repository.is_there():
        repository.create(private)
    elif private and not repository.is_private():
        settings = f"{repository.page}/settings"
        raise SeekerError(f"{repository.id}: is there and public; --private is for a new one ({settings})")


def _refuse_strangers(repository: Repository, remote: Mapping[str, RemoteFile]) -> None:
    """A repository that no push has made is somebody's work."""
    strange = sorted(set(remote) - THEIRS)
    if strange and MANIFEST not in remote:
        raise SeekerError(f"{repository.id}: holds files that no push has made, such as {strange[0]}; name a new one")


def _previous(
    repository: Repository, tags: Mapping[Tag, str], head: str, remote: Mapping[str, RemoteFile], folder: Path
) -> Previous:
    """The versions before this one; their shards are fetched when they are compared."""
    changelog = repository.fetch(CHANGELOG, head, folder).read_text() if CHANGELOG in remote else ""
    commit = tags[max(tags)] if tags else ""
    manifest = manifest_of(repository, commit, folder / "last") if commit else None

    def opened(shard: Shard) -> Path:
        return repository.fetch(shard.path, commit, folder / "last")

    return Previous(changelog, list(tags), manifest, opened)


def _sent(repository: Repository, fresh: Release, remote: Mapping[str, RemoteFile], head: str, told: Told) -> str:
    """The commit that holds the release: a new one, or the head if all is there."""
    ours = (*CONFIGS, PICTURES)
    gone = [path for path in remote if path.partition("/")[0] in ours and "/" in path and path not in fresh.files]
    if is_there(remote, fresh.files, gone):
        return head
    size = sum(file.stat().st_size for file in fresh.files.values())
    told(f"uploading {len(fresh.files)} files, {size / 1e6:,.1f} MB in all; what is there already is not sent again")
    commit = HubCommit(repository, fresh.files, gone, fresh.manifest.version or "Data between versions", head)
    commit.upload()
    told("all is uploaded; making the commit")
    return commit.send()


def _tagged(repository: Repository, fresh: Release, commit: str, tag: Tag, folder: Path) -> list[str]:
    """Read everything back as anybody would, compare, and only then name the version; returns what differs."""
    remote, wrong = repository.files(commit), list[str]()
    for path, file in fresh.files.items():
        repository.told(f"reading back {path}")
        if path not in remote:
            wrong.append(path)
            continue
        back = repository.fetch(path, commit, folder, anew=True)
        if sha256_of(back) != sha256_of(file):
            wrong.append(path)
        back.unlink()
    if not wrong:
        repository.set_tag(tag, commit)
    return wrong
