"""ChatServer: a local server that speaks OpenAI chat completions and says what a script tells it to.

A script is a function from a `Request` to a `Said` or a fault; whatever it does, the request was counted first. Tools,
pictures as data URIs and `response_format` are read; streaming is refused, as nothing here asks for it.
"""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from servers.loopback import Fault, Handler, Loopback, Raw, Refused

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


NO_CHOICES = Raw(
    json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": []}).encode()
)
TRUNCATED = Raw(b'{"id": "x", "object": "chat.completion", "choices": [{"index": 0, "mess')

Reply = Said | Fault
Script = Callable[[Request], Reply]


def in_turn(*replies: Reply) -> Script:
    """A script that says these one after another, over all conversations, and then repeats the last."""
    lock, left = Lock(), list(replies)

    def script(request: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


class ChatServer(Loopback):
    """`with ChatServer(script) as server:` listens on a free loopback port; `server.url` is the base URL."""

    def __init__(self, script: Script, key: str = "") -> None:
        self.script = script
        self.key = key
        """If set, any other key is answered 401."""
        self.requests: list[Request] = []
        self.counts: Counter[str] = Counter()
        """How often each conversation (by hash of its messages) was asked."""
        self._lock = Lock()
        super().__init__()
        self.url += "/v1"

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

    def handler(self) -> type[Handler]:
        server = self

        class Chat(Handler):
            loopback = server

            def do_POST(self) -> None:
                data = self.data()
                if data is None:
                    return
                if self.path != "/v1/chat/completions":
                    self.send(404, error_body(f"no {self.path}"))
                    return
                body, key = json.loads(data), self.headers.get("Authorization", "").removeprefix("Bearer ")
                reply = server.reply(Request(body, key))
                if isinstance(reply, Said):
                    self.send(200, completion(reply, body.get("model", "")))
                else:
                    self.misbehave(reply, error_body(reply.message) if isinstance(reply, Refused) else b"")

        return Chat


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
