"""Repository: one dataset on the hub: its head, tags and files. Every call outlasts a server's bad moment.

What a call asks is safe to ask twice: it reads, or it finds what its first time has done.
"""

import hashlib
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from seekerdata.errors import SeekerError
from seekerdata.hub import connection_error, reaching, status_of
from seekerdata.tag import Tag, is_tag, read_tag

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Told = Callable[[str], None]
"""Is told, in one line each, what is being done."""
Found = TypeVar("Found")

ATTEMPTS = 6
FIRST_S, LONGEST_S = 1.0, 60.0
"""The first pause, doubled at every attempt, and the longest of our own choosing."""
ASKED_S = 300.0
"""The longest pause that the hub may ask for; its limits count windows of five minutes."""
MAIN = "main"


class RemoteFile(NamedTuple):
    """A file as the hub lists it."""

    size: int
    blob: str
    """Git's hash of it; of a large file that of its pointer."""
    sha256: str = ""
    """Of a large file."""

    def is_same(self, path: Path) -> bool:
        """Whether a file here has the same bytes."""
        if path.stat().st_size != self.size:
            return False
        return sha256_of(path) == self.sha256 if self.sha256 else _blob(path) == self.blob


class Repository:
    """A dataset on the hub by its name; nothing is asked before the first call.

    Args:
        id: `namespace/name`.
        told: is told of pauses.

    Raises:
        SeekerError: that is no such name; and every call, in one line, for what only the user can mend.
    """

    def __init__(self, id: str, told: Told = lambda line: None) -> None:
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", id):
            raise SeekerError(f"{id}: a dataset on the hub is named namespace/name")
        self.id, self.told = id, told
        self._reached = False
        self._api: HfApi | None = None

    @property
    def api(self) -> "HfApi":
        """The hub's own client, which knows the token."""
        if self._api is None:
            from huggingface_hub import HfApi

            self._api = HfApi()
        return self._api

    @property
    def page(self) -> str:
        return f"{self.api.endpoint}/datasets/{self.id}"

    def head(self, revision: str = MAIN) -> str:
        """The commit of a branch or a tag."""
        return str(self._info(revision).sha)

    def is_there(self) -> bool:
        """Whether it exists and this token may read it."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        def ask() -> bool:
            try:
                self.api.dataset_info(self.id)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return False
            return True

        return self.asked(ask)

    def is_private(self) -> bool:
        return bool(self._info(MAIN).private)

    def create(self, private: bool) -> None:
        """Make it, unless it is there."""
        self.asked(partial(self.api.create_repo, self.id, repo_type="dataset", private=private, exist_ok=True))

    def tags(self) -> dict[Tag, str]:
        """Versions with their commits, in order; other tags are not ours."""
        refs = self.asked(partial(self.api.list_repo_refs, self.id, repo_type="dataset"))
        found = {read_tag(ref.name): ref.target_commit for ref in refs.tags if is_tag(ref.name)}
        return dict(sorted(found.items()))

    def set_tag(self, tag: Tag, commit: str) -> None:
        """Name a commit. Raises SeekerError if the tag has come to name another."""
        settings: dict[str, Any] = {"tag": str(tag), "revision": commit, "repo_type": "dataset", "exist_ok": True}
        self.asked(partial(self.api.create_tag, self.id, **settings))
        if (found := self.tags().get(tag)) != commit:
            raise SeekerError(f"{self.id}: somebody else has made {tag} meanwhile, of commit {str(found)[:12]}")

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """All files of a revision by their paths."""

        from huggingface_hub.hf_api import RepoFile

        def ask() -> dict[str, RemoteFile]:
            tree = self.api.list_repo_tree(self.id, recursive=True, revision=revision, repo_type="dataset")
            files = [entry for entry in tree if isinstance(entry, RepoFile)]
            return {f.path: RemoteFile(f.size, f.blob_id, f.lfs.sha256 if f.lfs else "") for f in files}

        return self.asked(ask, revision)

    def fetch(self, path: str, commit: str, folder: Path, anew: bool = False) -> Path:
        """A file into a folder, under its path there; what was begun is continued.

        Args:
            path, commit: which.
            folder: holds the hub's notes of it in `.cache`, too.
            anew: from the hub itself, whatever this machine's cache has.
        """
        settings: dict[str, Any] = {"repo_type": "dataset", "revision": commit, "local_dir": folder}

        def ask() -> str:
            try:
                return self.api.hf_hub_download(self.id, path, **settings, force_download=anew)
            except ValueError as error:  # what the library makes of a lost connection when it must not use its cache
                raise error.__cause__ or error from None

        return Path(self.asked(ask, commit))

    def asked(self, call: Callable[[], Found], revision: str = MAIN) -> Found:
        """What a call gives, made again while the hub is busy, broken or cut off."""
        with reaching(self.id, revision, "run the same command again when it can"):
            for attempt in range(ATTEMPTS):
                try:
                    found = call()
                    self._reached = True
                    return found
                except (connection_error(), OSError) as error:
                    if attempt + 1 == ATTEMPTS or not self.is_passing(error):
                        raise
                    self.pause(error, attempt)
        raise AssertionError("the last attempt returns or raises")

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same call may go well in a moment. A hub that never answered is no bad moment."""
        from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

        if isinstance(error, OfflineModeIsEnabled):
            return False
        status = status_of(error)
        self._reached = self._reached or status is not None
        if status is None:
            lost = isinstance(error, connection_error() | LocalEntryNotFoundError)
            return self._reached and (lost or (isinstance(error, OSError) and error.errno is None))
        return status in (408, 429) or status >= 500

    def pause(self, error: BaseException, attempt: int) -> None:
        """Wait before another attempt: as long as the hub asks, else longer every time."""
        from huggingface_hub.utils import parse_ratelimit_headers

        headers = getattr(getattr(error, "response", None), "headers", {})
        limit, after = parse_ratelimit_headers(headers), headers.get("Retry-After", "")
        asked = float(after) if after.isdigit() else limit.reset_in_seconds if limit and limit.remaining == 0 else None
        seconds = min(LONGEST_S, FIRST_S * 2**attempt) if asked is None else min(asked, ASKED_S)
        status = status_of(error)
        why = f"the Hub answered {status}" if status else f"the connection was lost ({type(error).__name__})"
        self.told(f"{why}; trying again in {seconds:.0f} s")
        time.sleep(seconds)

    def _info(self, revision: str) -> Any:
        return self.asked(partial(self.api.dataset_info, self.id, revision=revision), revision)


def sha256_of(path: Path) -> str:
    """A file's sha256, read in pieces."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _blob(path: Path) -> str:
    """Git's hash of a file."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
