"""GeminiServer: a local server that speaks Gemini's REST protocol as the google-genai SDK uses it, and keeps uploads.

`generateContent` is answered by a script in the words of `openai_server` (`Said`, `Refused`, `Dropped`, ...). A file
comes by resumable upload and is `PROCESSING` for as many looks as its `Upload` says. Everything asked for is counted.
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
from servers.openai_server import Reply as Answer
from servers.openai_server import Said

_ASKED = re.compile(r"/v1(?:beta)?/models/([^/:]+):generateContent")
_UPLOADS = re.compile(r"/upload/v1(?:beta)?/files")
_FILE = re.compile(r"/v1(?:beta)?/(files/.+)")
_FINISHED = {"": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUSES = {
    **{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"},
    **{429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"},
}


@dataclass(frozen=True)
class GeminiRequest:
    """One `generateContent` that was asked for."""

    model: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def contents(self) -> list[dict[str, Any]]:
        return self.body["contents"]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Every part of the conversation in order, the system's instructions apart."""
        return [part for content in self.contents for part in content["parts"]]

    @property
    def system(self) -> str:
        return "\n".join(part["text"] for part in self.body.get("systemInstruction", {}).get("parts", []))

    @property
    def text(self) -> str:
        """All words of the conversation, the system's first, one part a line."""
        return "\n".join([self.system, *(part["text"] for part in self.parts if "text" in part)])

    @property
    def images(self) -> list[bytes]:
        """Files sent along, in order."""
        return [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in self.parts if "inlineData" in part]

    @property
    def videos(self) -> list[tuple[str, str]]:
        """Address and MIME type of every uploaded file that is named, in order; the SDK writes both spellings."""
        found = [part["fileData"] for part in self.parts if "fileData" in part]
        return [(file.get("fileUri") or file["file_uri"], file.get("mimeType") or file["mime_type"]) for file in found]

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the reply must follow, None if there is none."""
        return self.body.get("generationConfig", {}).get("responseJsonSchema")

    @property
    def tools(self) -> list[str]:
        """Names of the functions that were offered."""
        return [f["name"] for tool in self.body.get("tools", []) for f in tool["functionDeclarations"]]

    @property
    def replies(self) -> int:
        """The model's turns so far."""
        return sum(content["role"] == "model" for content in self.contents)

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(json.dumps(self.contents, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Upload:
    """How an upload goes, and what came: `PROCESSING` for so many looks, then `ACTIVE`, or `FAILED`."""

    looks: int = 0
    failed: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    """What the upload was begun with."""
    data: bytes = b""

    @property
    def state(self) -> str:
        return "PROCESSING" if self.looks > 0 else "FAILED" if self.failed else "ACTIVE"


GeminiScript = Callable[[GeminiRequest], Answer]
Uploading = Callable[[str], Upload | Fault]
"""What happens at a step of an upload (`start` or `upload`); an `Upload` at either lets it go on."""


class GeminiServer(Loopback):
    """`with GeminiServer(script) as server:` listens on a free loopback port; `server.url` is the base URL.

    Args:
        script: what the model says.
        uploading: how uploads go; ready at once by default.
        key: if set, any other key is answered as Google answers it.
    """

    def __init__(
        self, script: GeminiScript, uploading: Uploading = lambda step: Upload(), key: str = "", models: str = ".*"
    ) -> None:
        self.script, self.uploading, self.key, self.models = script, uploading, key, models
        self.requests: list[GeminiRequest] = []
        self.counts: Counter[str] = Counter()
        """How often each conversation (by hash of its contents) was asked."""
        self.asked: Counter[str] = Counter()
        """Everything that was asked for: `generate`, `start`, `upload`, `get`, `delete`."""
        self.files: dict[str, Upload] = {}
        """What was uploaded to the end, by name (`files/f1`)."""
        self._begun: dict[str, Upload] = {}
        self._lock = Lock()
        super().__init__()

    def generate(self, request: GeminiRequest) -> Answer:
        """Count a request and say what its reply is."""
        with self._lock:
            self.requests.append(request)
            self.counts[request.content_hash] += 1
        if not re.fullmatch(self.models, request.model):
            return Refused(404, f"models/{request.model} is not found for API version v1beta")
        if any(self._named(uri) not in self.files for uri, _ in request.videos):
            return Refused(403, "You do not have permission to access the File or it may not exist.")
        return self.script(request)

    def start(self, headers: dict[str, str], body: dict[str, Any]) -> str | Answer:
        """The path to upload to."""
        how = self.uploading("start")
        if not isinstance(how, Upload):
            return how
        how.headers, how.body = headers, body
        with self._lock:
            name = f"f{len(self._begun) + 1}"
            self._begun[name] = how
        return f"/upload/v1beta/files?upload_id={name}&upload_protocol=resumable"

    def upload(self, name: str, headers: dict[str, str], data: bytes) -> dict[str, Any] | Answer | None:
        """The finished file; None while more is to come."""
        how = self.uploading("upload")
        if not isinstance(how, Upload):
            return how
        upload = self._begun[name]
        assert int(headers["x-goog-upload-offset"]) == len(upload.data), "pieces come in order"
        upload.data += data
        if "finalize" not in headers["x-goog-upload-command"]:
            return None
        with self._lock:
            self.files[f"files/{name}"] = upload
        return {"file": self.described(f"files/{name}")}

    def get(self, name: str) -> dict[str, Any] | Refused:
        """A file as `files.get` shows it; each look brings it nearer to being ready."""
        with self._lock:
            if name not in self.files:
                return Refused(403, f"You do not have permission to access the File {name} or it may not exist.")
            self.files[name].looks -= 1
        return self.described(name)

    def described(self, name: str) -> dict[str, Any]:
        upload = self.files[name]
        facts = {"name": name, "uri": f"{self.url}/v1beta/{name}", "state": upload.state}
        facts |= {"mimeType": upload.headers["x-goog-upload-header-content-type"], "sizeBytes": str(len(upload.data))}
        return {**facts, "error": {"code": 3, "message": "unreadable video"}} if upload.state == "FAILED" else facts

    def delete(self, name: str) -> dict[str, Any] | Refused:
        with self._lock:
            gone = self.files.pop(name, None)
        return {} if gone else Refused(403, f"You do not have permission to access the File {name}.")

    def _named(self, uri: str) -> str:
        return uri.removeprefix(f"{self.url}/v1beta/")

    def handler(self) -> type[Handler]:
        server = self

        class Gemini(Handler):
            loopback = server

            def do_POST(self) -> None:
                data = self.data()
                if data is None:
                    return
                path, _, query = self.path.partition("?")
                asked = _ASKED.fullmatch(path)
                if asked and self._known("generate"):
                    self._answer(server.generate(GeminiRequest(asked[1], json.loads(data), self._headers())))
                elif _UPLOADS.fullmatch(path) and query:  # the upload's own address stands for the key
                    server.asked["upload"] += 1
                    name = query.partition("upload_id=")[2].partition("&")[0]
                    done = server.upload(name, self._headers(), data)
                    self._answer({} if done is None else done, {"X-Goog-Upload-Status": _upload_status(done)})
                elif _UPLOADS.fullmatch(path) and self._known("start"):
                    place = server.start(self._headers(), json.loads(data or b"{}"))
                    if isinstance(place, str):
                        self._answer({}, {"X-Goog-Upload-URL": server.url + place})
                    else:
                        self._answer(place)
                elif not asked and not _UPLOADS.fullmatch(path):
                    self._answer(Refused(404, f"no {self.path}"))

            def do_GET(self) -> None:
                if self._known("get"):
                    self._answer(server.get(_FILE.sub(r"\1", self.path)))

            def do_DELETE(self) -> None:
                if self._known("delete"):
                    self._answer(server.delete(_FILE.sub(r"\1", self.path)))

            def _known(self, what: str) -> bool:
                """Count, and refuse a wrong key."""
                server.asked[what] += 1
                key = self.headers.get("x-goog-api-key", "")
                if server.key and key != server.key:
                    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
                    message = f"API key not valid. Please pass a valid API key. ({key})"
                    self.send(400, error_body(400, message, [detail]))
                    return False
                return True

            def _headers(self) -> dict[str, str]:
                return {name.lower(): value for name, value in self.headers.items()}

            def _answer(self, reply: Answer | dict[str, Any], extra: dict[str, str] | None = None) -> None:
                match reply:
                    case dict():
                        self.send(200, json.dumps(reply).encode(), extra)
                    case Said():
                        self.send(200, generated(reply))
                    case Refused():
                        self.misbehave(reply, error_body(reply.status, reply.message), extra)
                    case _:
                        self.misbehave(reply, b"", extra)

        return Gemini


def _upload_status(done: dict[str, Any] | Answer | None) -> str:
    return "active" if done is None else "final" if isinstance(done, dict) else "cancelled"


def generated(said: Said) -> bytes:
    """The body of a `generateContent` reply."""
    parts: list[dict[str, Any]] = [{"text": said.reasoning, "thought": True}] if said.reasoning else []
    parts += [{"text": said.text}] if said.text else []
    for n, call in enumerate(said.calls):
        signed = {} if n else {"thoughtSignature": base64.b64encode(b"signed").decode()}
        parts.append({"functionCall": {"name": call.name, "args": call.arguments}, **signed})
    candidate = {"index": 0, "finishReason": _FINISHED.get(said.finish, said.finish)}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    prompt, completed = said.usage
    thoughts = len(said.reasoning)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completed, "totalTokenCount": prompt + completed}
    usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    return json.dumps({"candidates": [candidate], "usageMetadata": usage, "responseId": "served"}).encode()


def error_body(status: int, message: str, details: list[dict[str, Any]] | None = None) -> bytes:
    error = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN"), "details": details or []}
    return json.dumps({"error": error}).encode()


_USED = {"promptTokenCount": 100, "totalTokenCount": 100}
NO_CANDIDATES = Raw(json.dumps({"usageMetadata": _USED}).encode())
BLOCKED = Raw(json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": _USED}).encode())
"""The prompt was not even read."""
TRUNCATED = Raw(b'{"candidates": [{"index": 0, "content": {"parts": [{"te')
