"""Loopback: a server on a free local port that can misbehave as real ones do. Each protocol has its own Handler."""

import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Refused:
    """An error status with the protocol's error body."""

    status: int
    message: str = "injected fault"
    retry_after: str = ""


@dataclass(frozen=True)
class Raw:
    """Status 200 with exactly these bytes: truncated JSON, HTML, nothing."""

    data: bytes


@dataclass(frozen=True)
class Dropped:
    """The connection is closed without a reply."""


@dataclass(frozen=True)
class Stalled:
    """No reply until the server closes."""


Fault = Refused | Raw | Dropped | Stalled


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    """Hundreds may call at once."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error of the server; all else is said."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Loopback:
    """`with` it, and it listens; `url` is its address. A protocol's server gives its `handler`."""

    def __init__(self) -> None:
        self.closing = Event()
        self.sockets: set[socket.socket] = set()
        """Connections that are open and not stalled; clients keep them for the next request."""
        self._http = _Http(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def handler(self) -> "type[Handler]":
        raise NotImplementedError

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self.sockets):
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection; says nothing on its own."""

    protocol_version = "HTTP/1.1"
    loopback: ClassVar[Loopback]

    def setup(self) -> None:
        super().setup()
        self.loopback.sockets.add(self.connection)

    def finish(self) -> None:
        self.loopback.sockets.discard(self.connection)
        with suppress(OSError):  # a client that was killed takes no last words
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test server is quiet."""

    def data(self) -> bytes | None:
        """What was sent; None if the client was killed while it sent."""
        data = self.rfile.read(length := int(self.headers.get("Content-Length") or 0))
        return data if len(data) == length else None

    def send(self, status: int, data: bytes, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def misbehave(self, fault: Fault, body: bytes, extra: dict[str, str] | None = None) -> None:
        """Do what a fault says; `body` is the protocol's for an error status."""
        match fault:
            case Refused():
                after = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                self.send(fault.status, body, {**(extra or {}), **after})
            case Raw():
                self.send(200, fault.data, extra)
            case Stalled():
                self.loopback.sockets.discard(self.connection)
                self.loopback.closing.wait()
                self.close_connection = True
            case Dropped():
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
