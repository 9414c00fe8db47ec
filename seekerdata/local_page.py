"""LocalPage: a page served to one person on this machine. Whoever does not know its address is told nothing.

It listens on 127.0.0.1 only, and its address holds a random token. Another site's page in the same browser gets
nowhere: a foreign Host (a name that was bound anew to 127.0.0.1) or Origin is refused, and nothing allows sharing
across origins. No file is opened by a path that was asked for: what there is to get and to post is a fixed table.
"""

import json
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from seekerdata.errors import ItemError, SeekerError

MOST_BYTES = 1_000_000
"""Of what is posted; a line of 5,000 points takes a tenth of it."""
PATIENCE_S = 30
"""How long a browser may take to send what it announced."""
HOSTS = ("127.0.0.1", "localhost")
"""With any port: through `ssh -L` it is another one than ours."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Sent:
    """What is sent back: bytes, what they are, and more headers."""

    body: bytes
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)


Getter = Callable[[dict[str, str]], Sent]
Poster = Callable[[Any], dict[str, Any]]


class _Table(NamedTuple):
    token: str
    gets: Mapping[str, Getter]
    posts: Mapping[str, Poster]


class LocalPage:
    """`with` it, and it listens; `url` is where. An ItemError, a SeekerError or a value that pydantic refuses becomes
    its text with a status of 422; anything else is a bug, and its traceback goes to the terminal.

    Args:
        gets: what can be got, by name ("" is the page), given the values behind the `?`.
        posts: what can be posted, by name, given the JSON.
        port: where to listen; 0: any that is free.

    Raises:
        SeekerError: the port is taken.
    """

    def __init__(self, gets: Mapping[str, Getter], posts: Mapping[str, Poster], port: int = 0) -> None:
        token = secrets.token_urlsafe(32)
        try:
            self._http = _Server(("127.0.0.1", port), partial(_Handler, _Table(token, gets, posts)))
        except (OSError, OverflowError) as error:
            raise SeekerError(f"port {port}: {error}; choose another with --port") from None
        self.url = f"http://127.0.0.1:{self._http.server_port}/{token}/"

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    block_on_close = False

    def handle_error(self, request: "socket | tuple[bytes, socket]", client_address: Any) -> None:
        """A browser that went away in the middle is no error; all else is said."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    server_version, sys_version = "seekerdata", ""

    def __init__(self, table: _Table, *arguments: Any) -> None:
        self.table = table
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: Any) -> None:
        """Nothing: an address holds the token."""

    def _answer(self, made: Callable[[], Sent]) -> None:
        try:
            sent, status = made(), HTTPStatus.OK
        except _Refused as refused:
            sent, status = _text(str(refused)), refused.status
        except (ItemError, SeekerError) as error:
            sent, status = _text(str(error)), HTTPStatus.UNPROCESSABLE_ENTITY
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".strip(": ") for e in error.errors())
            sent, status = _text(said), HTTPStatus.UNPROCESSABLE_ENTITY
        self.send_response(status)
        told = {"Content-Type": sent.kind, "Content-Length": str(len(sent.body))}
        for name, value in {**HEADERS, **told, **sent.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent.body)

    def _get(self) -> Sent:
        name = self._name()
        if name not in self.table.gets:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing of this name")
        return self.table.gets[name](dict(parse_qsl(urlsplit(self.path).query)))

    def _post(self) -> Sent:
        name = self._name()
        if name not in self.table.posts:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing of this name")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "only JSON is taken")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "say how long it is")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BYTES:,} bytes")
        try:
            value = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refused(HTTPStatus.BAD_REQUEST, "not JSON") from None
        facts = self.table.posts[name](value)
        return Sent(json.dumps(facts).encode(), "application/json")

    def _name(self) -> str:
        """What is asked for, once it is sure that our own page, or the person, asks."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].rpartition(":")[0] not in HOSTS:
            raise _Refused(HTTPStatus.FORBIDDEN, "this page is for this machine only")
        if self.headers.get("Origin", f"http://{hosts[0]}") != f"http://{hosts[0]}":
            raise _Refused(HTTPStatus.FORBIDDEN, "another site may not ask")
        token, _, name = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.table.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "open the address that the terminal shows")
        return name


def _text(text: str) -> Sent:
    return Sent(text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
