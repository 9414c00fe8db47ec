"""SmallHub: a hub in memory that datasets are pushed to and pulled from, as `huggingface_hub` asks it without Xet.

Answers are those that were recorded of the real one's protocol; a plan of faults says which calls go wrong, and how.
"""

import base64
import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from servers.loopback import Dropped, Handler, Loopback, Refused, Stalled

TOKEN = "hf_theTokenOfTheTestsOnly00000000"
LARGE = (".parquet", ".png", ".jpg")
"""What goes up as large files, by the hub's own .gitattributes."""


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes of a file, whichever way it goes."""

    after: int


@dataclass(frozen=True)
class Lost:
    """The call is done and its answer is lost."""


@dataclass(frozen=True)
class Flipped:
    """A file is served with its last byte changed."""


@dataclass(frozen=True)
class Meanwhile:
    """Somebody else is faster: this is done first."""

    act: Callable[[], object]


@dataclass(frozen=True)
class Slow:
    """The call is answered after so long."""

    seconds: float


Fault = Refused | Dropped | Stalled | Cut | Lost | Flipped | Meanwhile | Slow


@dataclass
class Repo:
    """A dataset: its commits with their files, and its tags."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, title: str, files: dict[str, bytes]) -> str:
        oid = secrets.token_hex(20)
        self.commits[oid] = files
        self.titles.append(title)
        return oid

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def resolve(self, revision: str) -> str | None:
        oid = {"main": self.head, **self.tags}.get(revision, revision)
        return oid if oid in self.commits else None


class SmallHub(Loopback):
    """`with` it, and `url` is its endpoint. One user, who owns everything, by `TOKEN`.

    Args:
        chunk: large files above this size go up in parts of it.
    """

    def __init__(self, chunk: int = 10**9) -> None:
        self.chunk = chunk
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        """Large files by their sha256."""
        self.parts: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        """How often each call was made."""
        self.sent: list[int] = []
        """Sizes of the large files, or parts, that came up whole."""
        self.waiting = Counter[str]()
        """Calls that are stalled."""
        self._plan: list[tuple[str, Fault]] = []
        super().__init__()

    def go_wrong(self, call: str, *faults: Fault | None) -> None:
        """The next times that this is called, it goes wrong like this, or well where None stands."""
        self._plan += [(call, fault) for fault in faults]  # type: ignore[misc]

    def fault(self, call: str) -> Fault | None:
        self.calls[call] += 1
        place = next((n for n, (name, _) in enumerate(self._plan) if name == call), None)
        return None if place is None else self._plan.pop(place)[1]

    def handler(self) -> type[Handler]:
        return type("Bound", (_Call,), {"loopback": self, "hub": self})


_ROUTES = [
    ("create", "POST", r"/api/repos/create"),
    ("yaml", "POST", r"/api/validate-yaml"),
    ("info", "GET", r"/api/datasets/(?P<id>[^/]+/[^/]+)(?:/revision/(?P<rev>[^/]+))?"),
    ("preupload", "POST", r"/api/datasets/(?P<id>[^/]+/[^/]+)/preupload/(?P<rev>[^/]+)"),
    ("batch", "POST", r"/datasets/(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("put", "PUT", r"/upload/(?P<oid>\w+)(?:/(?P<part>\d+))?"),
    ("complete", "POST", r"/complete/(?P<oid>\w+)"),
    ("verify", "POST", r"/verify"),
    ("tree", "GET", r"/api/datasets/(?P<id>[^/]+/[^/]+)/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?"),
    ("commit", "POST", r"/api/datasets/(?P<id>[^/]+/[^/]+)/commit/(?P<rev>[^/]+)"),
    ("tag", "POST", r"/api/datasets/(?P<id>[^/]+/[^/]+)/tag/(?P<rev>[^/]+)"),
    ("refs", "GET", r"/api/datasets/(?P<id>[^/]+/[^/]+)/refs"),
    ("paths", "POST", r"/api/datasets/(?P<id>[^/]+/[^/]+)/paths-info/(?P<rev>[^/]+)"),
    ("head", "HEAD", r"/datasets/(?P<id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)"),
    ("get", "GET", r"/datasets/(?P<id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)"),
]


class _Call(Handler):
    """One connection of a client."""

    hub: SmallHub

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        matches = ((call, re.fullmatch(form, path)) for call, method, form in _ROUTES if method == self.command)
        call, match = next(((call, match) for call, match in matches if match), ("", None))
        if match is None:
            self.data()
            self._refuse(404, "EntryNotFound")
            return
        known = {name: unquote(text) for name, text in match.groupdict().items() if text is not None}
        fault = self.hub.fault(call)
        if isinstance(fault, Cut) and self.command == "PUT":
            self.rfile.read(fault.after)
            self.misbehave(Dropped(), b"")
            return
        if isinstance(fault, Stalled):
            self.hub.waiting[call] += 1
        if isinstance(fault, Refused | Dropped | Stalled):
            self.data()
            self.misbehave(fault, b'{"error": "injected fault"}')
            return
        if isinstance(fault, Meanwhile):
            fault.act()
        if isinstance(fault, Slow):
            self.loopback.closing.wait(fault.seconds)
        if (data := self.data()) is not None:
            self._lost = isinstance(fault, Lost)
            self._dispatch(call, known, data, fault)

    def _dispatch(self, call: str, known: dict[str, str], data: bytes, fault: Fault | None) -> None:
        given = self.headers.get("Authorization", "")
        if call in ("put", "complete"):
            getattr(self, f"_{call}")(**known, data=data)
            return
        if given and given != f"Bearer {TOKEN}":
            self._refuse(401, "", {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        if not given and (self.command == "POST" and call not in ("paths", "yaml")):
            self._refuse(401, "")
            return
        if call in ("create", "yaml", "verify"):
            getattr(self, f"_{call}")(json.loads(data))
            return
        repo = self.hub.repos.get(known["id"])
        if repo is None or (repo.private and not given):
            self._refuse(404 if given else 401, "RepoNotFound")
        elif repo.gated and call in ("head", "get"):
            self._refuse(403, "GatedRepo")
        elif (commit := repo.resolve(known.get("rev", "main"))) is None:
            self._refuse(404, "RevisionNotFound")
        elif call in ("head", "get"):
            self._file(repo, commit, known["path"], fault)
        else:
            getattr(self, f"_{call}")(known["id"], repo, commit, data)

    def _create(self, asked: dict[str, Any]) -> None:
        id = f"{asked['organization']}/{asked['name']}"
        said = {"url": f"{self.hub.url}/datasets/{id}", "name": id, "id": id}
        if id in self.hub.repos:
            self.send(409, json.dumps({"error": "You already created this dataset repo", **said}).encode())
            return
        repo = self.hub.repos[id] = Repo(private=asked.get("visibility") == "private")
        repo.commit("initial commit", {".gitattributes": b"*.parquet filter=lfs\n"})
        self._say(said)

    def _yaml(self, asked: dict[str, Any]) -> None:
        self._say({"errors": [], "warnings": []})

    def _verify(self, asked: dict[str, Any]) -> None:
        whole = len(self.hub.objects.get(asked["oid"], b"")) == asked["size"]
        self._say({}) if whole else self._refuse(422, "")

    def _info(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        siblings = [{"rfilename": path} for path in repo.commits[commit]]
        facts = {"_id": "1", "id": id, "author": id.partition("/")[0], "sha": commit, "private": repo.private}
        facts |= {"gated": "auto" if repo.gated else False, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
        self._say({**facts, "siblings": siblings})

    def _preupload(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        there = repo.commits[commit]

        def known(path: str) -> dict[str, Any]:
            mode = "lfs" if path.endswith(LARGE) else "regular"
            oid = (_sha256(there[path]) if mode == "lfs" else _blob(there[path])) if path in there else None
            return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

        self._say({"files": [known(file["path"]) for file in json.loads(data)["files"]]})

    def _batch(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        said = []
        for one in json.loads(data)["objects"]:
            oid, size = one["oid"], one["size"]
            if oid in self.hub.objects:
                said.append(one)
                continue
            upload = {"href": f"{self.hub.url}/upload/{oid}", "header": {}}
            if size > self.hub.chunk:
                parts = range(1, -(-size // self.hub.chunk) + 1)
                header = {f"{n:05d}": f"{self.hub.url}/upload/{oid}/{n}" for n in parts}
                upload = {
                    "href": f"{self.hub.url}/complete/{oid}",
                    "header": {"chunk_size": str(self.hub.chunk), **header},
                }
            said.append(
                {**one, "actions": {"upload": upload, "verify": {"href": f"{self.hub.url}/verify", "header": {}}}}
            )
        self._say({"transfer": "basic", "objects": said})

    def _put(self, oid: str, data: bytes, part: str = "") -> None:
        self.hub.sent.append(len(data))
        if part:
            self.hub.parts[f"{oid}/{part}"] = data
        elif _sha256(data) == oid:
            self.hub.objects[oid] = data
        else:
            self._refuse(400, "")
            return
        self._say({}, {"ETag": f'"{_sha256(data)}"'})

    def _complete(self, oid: str, data: bytes) -> None:
        numbers = [part["partNumber"] for part in json.loads(data)["parts"]]
        whole = b"".join(self.hub.parts[f"{oid}/{n}"] for n in numbers)
        if _sha256(whole) != oid:
            self._refuse(400, "")
            return
        self.hub.objects[oid] = whole
        self._say({})

    def _commit(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        lines = [json.loads(line) for line in data.splitlines()]
        header, files = lines[0]["value"], dict(repo.files)
        if header.get("parentCommit", repo.head) != repo.head:
            self._refuse(412, "")
            return
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = repo.commit(header["summary"], files)
        self._say({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{id}/commit/{oid}"})

    def _tag(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        tag = json.loads(data)["tag"]
        if tag in repo.tags:
            self._refuse(409, "")
            return
        repo.tags[tag] = commit
        self._say({})

    def _refs(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head}]
        tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid} for name, oid in repo.tags.items()]
        self._say({"branches": branches, "converts": [], "tags": tags})

    def _tree(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        """The whole of a commit, or of the folder that is asked for."""
        inside = unquote(urlsplit(self.path).path.partition("/tree/")[2].partition("/")[2])
        files = {path: data for path, data in repo.commits[commit].items() if path.startswith(inside)}
        if inside and not files:
            self._refuse(404, "EntryNotFound")
            return
        folders = sorted({path.rpartition("/")[0] for path in files} - {""})
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": p} for p in folders]
        self._say(entries + [_entry(path, data) for path, data in files.items()])

    def _paths(self, id: str, repo: Repo, commit: str, data: bytes) -> None:
        files, asked = repo.commits[commit], json.loads(data)["paths"]
        self._say([_entry(path, files[path]) for path in asked if path in files])

    def _file(self, repo: Repo, commit: str, path: str, fault: Fault | None) -> None:
        data = repo.commits[commit].get(path)
        if data is None:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
            return
        etag = _sha256(data) if path.endswith(LARGE) else _blob(data)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if path.endswith(LARGE):
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
        asked, size = self.headers.get("Range", ""), len(data)
        if isinstance(fault, Flipped):
            data = data[:-1] + bytes([data[-1] ^ 1])
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or size - 1), size - 1)
            data, headers["Content-Range"] = data[first : last + 1], f"bytes {first}-{last}/{size}"
        self.send_response(206 if asked else 200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: fault.after] if isinstance(fault, Cut) else data)
        if isinstance(fault, Cut):
            self.wfile.flush()
            self.misbehave(Dropped(), b"")

    def _say(self, facts: Any, extra: dict[str, str] | None = None) -> None:
        if self._lost:
            self.misbehave(Dropped(), b"")
        else:
            self.send(200, json.dumps(facts).encode(), extra)

    def _refuse(self, status: int, code: str, extra: dict[str, str] | None = None) -> None:
        body = b"" if self.command == "HEAD" else json.dumps({"error": code or "no"}).encode()
        self.send(status, body, {**({"X-Error-Code": code} if code else {}), **(extra or {})})


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 130}
    return entry


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
