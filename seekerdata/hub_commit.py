"""HubCommit: files that enter a repository together, or not at all. Readers never see half of them.

Large files go up first and are nobody's until the one commit names them; what is up there already is not sent again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError
from seekerdata.hub import connection_error, reaching, status_of, without_token
from seekerdata.repository import ATTEMPTS, MAIN, RemoteFile, Repository

CONFLICTS = (409, 412)


class HubCommit:
    """One commit onto `main`.

    Args:
        repository: where to.
        files: by their paths there.
        gone: paths that are to be there no more.
        title: of the commit.
        head: the commit that it follows; the hub takes it for no other.
    """

    def __init__(
        self, repository: Repository, files: Mapping[str, Path], gone: Sequence[str], title: str, head: str
    ) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        self.repository, self.files, self.gone, self.title, self.head = repository, files, gone, title, head
        self._additions = [CommitOperationAdd(path, file) for path, file in sorted(files.items())]
        self._deletions = [CommitOperationDelete(path) for path in gone]

    def upload(self) -> None:
        """Send the large files. Raises SeekerError when that fails for good."""
        repository = self.repository
        settings: dict[str, Any] = {"repo_type": "dataset", "free_memory": False}
        for attempt in range(ATTEMPTS):
            with reaching(repository.id, MAIN, "run the same command again to go on"):
                try:
                    repository.api.preupload_lfs_files(repository.id, self._additions, **settings)
                    return
                except (connection_error(), OSError, RuntimeError) as error:
                    cause = _cause(error)
                    storage = isinstance(cause, RuntimeError)  # hf_xet's word for whatever went wrong on its way
                    if attempt + 1 == ATTEMPTS or not (storage or repository.is_passing(cause)):
                        raise _said(cause, repository.id) if storage else cause from None
                    repository.pause(cause, attempt)

    def send(self) -> str:
        """Make the commit; returns its hash. A commit whose answer was lost is found and not made twice.

        Raises:
            SeekerError: somebody else has moved `main` meanwhile, or it fails for good.
        """
        repository = self.repository
        settings: dict[str, Any] = {"repo_type": "dataset", "parent_commit": self.head, "commit_message": self.title}
        for attempt in range(ATTEMPTS):
            with reaching(repository.id, MAIN, "run the same command again to go on"):
                try:
                    operations: list[Any] = [*self._additions, *self._deletions]
                    return str(repository.api.create_commit(repository.id, operations, **settings).oid)
                except (connection_error(), OSError, RuntimeError) as error:
                    cause = _cause(error)
                    if status_of(cause) not in CONFLICTS and not repository.is_passing(cause):
                        raise cause from None
                    if landed := self._landed():
                        return landed
                    if attempt + 1 == ATTEMPTS:
                        raise cause from None
                    repository.pause(cause, attempt)
        raise AssertionError("the last attempt returns or raises")

    def _landed(self) -> str:
        """The head, if it is this commit; empty if the head is where it was."""
        head = self.repository.head()
        if head == self.head:
            return ""
        if is_there(self.repository.files(head), self.files, self.gone):
            return head
        moved = f"somebody else has moved {MAIN} from {self.head[:12]} to {head[:12]} during the push"
        look = f"look at {self.repository.page}/commits/main, then push again to put this version on top"
        raise SeekerError(f"{self.repository.id}: {moved}; {look}")


def is_there(remote: Mapping[str, RemoteFile], files: Mapping[str, Path], gone: Sequence[str]) -> bool:
    """Whether a listing of the hub holds all these files, byte for byte, and none that are to be gone."""
    here = all(path in remote and remote[path].is_same(file) for path, file in files.items())
    return here and not any(path in remote for path in gone)


def _said(error: Exception, id: str) -> SeekerError:
    """What the hub's storage says, in one line and without the token."""
    words = " ".join(without_token(str(error)).split())[:200]
    return SeekerError(f"{id}: the upload failed ({words}); run the same command again to go on")


def _cause(error: Exception) -> Exception:
    """The error of the connection inside the one that the hub's library makes of it while it uploads."""
    inner = error.__cause__
    while isinstance(error, RuntimeError) and isinstance(inner, Exception):
        error, inner = inner, inner.__cause__
    return error
