"""ChatServer: a local server that speaks OpenAI chat completions and says what a script tells it to.

A script is a function from a `Request` to a `Said` or a fault; whatever it does, the request was counted first. Tools,
pictures as data URIs and `response_format` are read; streaming is refused, as nothing here asks for it.
"""

import base64
import hashlib
import json
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

_DATA_URI = re.compile(r"data:(image/[a-z]+);base64,(.+)", flags=re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One chat completion that was asked for."""

    body: dict[str, Any]
    key: str = ""
    """What stood in the Authorization header after `Bearer`."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Every content part in order; a bare string is one text part."""
        found: list[dict[str, Any]] = []
        for message in self.messages:
            content = message.get("content") or []
            found += [{"type": "text", "text": content}] if isinstance(content, str) else content
        return found

    @property
    def text(self) -> str:
        """All words of the conversation, one part a line."""
        return "\n".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def images(self) -> list[bytes]:
        """The files behind the data URIs, in order.

        Raises:
            ValueError: a picture is not a data URI.
        """
        found = []
        for part in self.parts:
            if part["type"] == "image_url":
                match = _DATA_URI.fullmatch(part["image_url"]["url"])
                if not match:
                    raise ValueError(f"not a data URI: {part['image_url']['url'][:40]}")
                found.append(base64.b64decode(match[2], validate=True))
        return found

    @property
    def tools(self) -> list[str]:
        """Names of the tools that were offered."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the reply must follow, None if there is none."""
        return self.body.get("response_format", {}).get("json_schema", {}).get("schema")

    @property
    def replies(self) -> int:
        """Assistant messages so far: which turn of a conversation this is."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(json.dumps(self.body["messages"], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Called:
    """A native tool call; `arguments` is sent as written if it is a string, so it need not be JSON."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """A reply with status 200."""

    text: str | None = ""
    calls: tuple[Called, ...] = ()
    reasoning: str = ""
    finish: str = ""
    """`length`, `content_filter`; empty: `tool_calls` or `stop`, whichever fits."""
    usage: tuple[int, int] = (100, 10)
    """Prompt and completion tokens."""


@dataclass(frozen=True)
class Refused:
    """An error status with OpenAI's error body."""

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


NO_CHOICES = Raw(
    json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": []}).encode()
)
TRUNCATED = Raw(b'{"id": "x", "object": "chat.completion", "choices": [{"index": 0, "mess')

Reply = Said | Refused | Raw | Dropped | Stalled
Script = Callable[[Request], Reply]


def in_turn(*replies: Reply) -> Script:
    """A script that says these one after another, over all conversations, and then repeats the last."""
    lock, left = Lock(), list(replies)

    def script(request: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    """Hundreds may call at once."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error of the server; all else is said."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class ChatServer:
    """`with ChatServer(script) as server:` listens on a free loopback port; `server.url` is the base URL."""

    def __init__(self, script: Script, key: str = "") -> None:
        self.script = script
        self.key = key
        """If set, any other key is answered 401."""
        self.requests: list[Request] = []
        self.counts: Counter[str] = Counter()
        """How often each conversation (by hash of its messages) was asked."""
        self.closing = Event()
        self.sockets: set[socket.socket] = set()
        """Connections that are open and not stalled; clients keep them for the next request."""
        self._lock = Lock()
        self._http = _Http(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> "ChatServer":
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

    def reply(self, request: Request) -> Reply:
        """Count a request and say what its reply is."""
        with self._lock:
            self.requests.append(request)
            self.counts[request.content_hash] += 1
        if self.key and request.key != self.key:
            return Refused(401, f"Incorrect API key provided: {request.key}")
        if request.body.get("stream"):
            return Refused(400, "this server does not stream")
        return self.script(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.sockets.add(self.connection)

            def finish(self) -> None:
                server.sockets.discard(self.connection)
                with suppress(OSError):  # a client that was killed takes no last words
                    super().finish()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a test server is quiet."""

            def do_POST(self) -> None:
                data = self.rfile.read(length := int(self.headers["Content-Length"]))
                if len(data) < length:  # the client was killed while it sent
                    return
                body = json.loads(data)
                if self.path != "/v1/chat/completions":
                    self._send(404, error_body(f"no {self.path}"))
                    return
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self._answer(server.reply(Request(body, key)), body)

            def _answer(self, reply: Reply, body: dict[str, Any]) -> None:
                match reply:
                    case Said():
                        self._send(200, completion(reply, body.get("model", "")))
                    case Refused():
                        extra = {"Retry-After": reply.retry_after} if reply.retry_after else {}
                        self._send(reply.status, error_body(reply.message), extra)
                    case Raw():
                        self._send(200, reply.data)
                    case Stalled():
                        server.sockets.discard(self.connection)
                        server.closing.wait()
                        self.close_connection = True
                    case Dropped():
                        self.connection.shutdown(socket.SHUT_RDWR)
                        self.close_connection = True

            def _send(self, status: int, data: bytes, extra: dict[str, str] | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (extra or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        return Handler


def completion(said: Said, model: str) -> bytes:
    """The body of a chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.calls:
        message["tool_calls"] = [
            {
                "id": f"served_{n}",
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments),
                },
            }
            for n, call in enumerate(said.calls)
        ]
    finish = said.finish or ("tool_calls" if said.calls else "stop")
    prompt, completed = said.usage
    return json.dumps(
        {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed},
        }
    ).encode()


def error_body(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "test", "code": None}}).encode()
