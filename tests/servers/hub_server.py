"""HubServer: a local stand-in for the Hugging Face Hub with one dataset, for the calls that a download makes."""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType

COMMIT = "c0ffee" + "0" * 34


class HubServer:
    """Serves `files` (path to bytes) as the dataset `id`; use as a context manager.

    Args:
        id: the dataset's name.
        files: what it holds.
        refusal: an error that the Hub answers with instead, by its code: `GatedRepo`, `RepoNotFound`.
        cut_at: the first answer with a longer file ends after so many bytes, as when a connection is lost.
    """

    def __init__(self, id: str, files: dict[str, bytes], refusal: str = "", cut_at: int | None = None) -> None:
        self.id, self.files, self.refusal, self.cut_at = id, files, refusal, cut_at
        self.gets: Counter[str] = Counter()
        """How often each file was asked for."""
        self.ranges: list[str] = []
        """What was asked for of files that were begun."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def do_GET(self) -> None:
                hub._answer(self, body=True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = request.path.partition("?")[0]
        if self.refusal:
            status = {"GatedRepo": 403, "RepoNotFound": 404}[self.refusal]
            self._send(request, status, b"", {"X-Error-Code": self.refusal}, body)
        elif path.startswith(f"/api/datasets/{self.id}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            facts = {"id": self.id, "sha": COMMIT, "siblings": siblings, "private": False, "downloads": 0, "likes": 0}
            self._send(request, 200, json.dumps({**facts, "tags": []}).encode(), {}, body)
        else:
            self._file(request, path.removeprefix(f"/datasets/{self.id}/resolve/{COMMIT}/"), body)

    def _file(self, request: BaseHTTPRequestHandler, name: str, body: bool) -> None:
        data = self.files.get(name)
        if data is None:
            self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        headers = {"ETag": f'"{len(data)}-{abs(hash(data))}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        self.gets[name] += body
        asked = request.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if asked:
            self.ranges.append(asked)
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cut = self.cut_at if body and self.cut_at is not None and len(data) > self.cut_at else None
        self.cut_at = None if cut else self.cut_at
        self._send(request, 206 if asked else 200, data[start:], headers, body, cut)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        headers: dict[str, str],
        body: bool,
        cut: int | None = None,
    ) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(data[:cut])
        if cut is not None:
            request.close_connection = True
