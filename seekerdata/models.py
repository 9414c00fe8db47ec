"""ModelSettings, ModelRole: a model by its inspect_ai name, and one call of it. Nothing secret enters or leaves here.

inspect_ai brings providers, retries and rate limits. Keys come from the environment only and are cut out of every
error; a wrong key or an unknown model ends the run, any other failure is one item's and may be tried again.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from seekerdata.errors import ItemError, SeekerError
from seekerdata.instructions import escape_markers
from seekerdata.model_loop import on_model_loop
from seekerdata.patience import make_patient
from seekerdata.plugin import spelled_out
from seekerdata.rollout import Reply
from seekerdata.run_log import log
from seekerdata.trajectory import Block, Image, StopReason, Text, ToolCall
from seekerdata.usage import note

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from inspect_ai.model import ChatMessage, Content, GenerateConfig, Model, ModelOutput
    from inspect_ai.tool import ToolInfo

_STOPS = {
    "content_filter": StopReason.REFUSED,
    "max_tokens": StopReason.TOO_LONG,
    "model_length": StopReason.TOO_LONG,
}
_USERS = {401: "the key is wrong or missing", 404: "there is no such model or address"}
"""Statuses that concern every item, and what they mean to the user."""
_FINAL = {400, 413, 422}
"""Statuses that the same request would get again."""
_GOOGLES_KEY = re.compile(r"API_KEY_INVALID|^403 PERMISSION_DENIED(?!.*access the File)")
"""What Google says of a wrong key (400) and of one without the right (403, as of a file that is gone)."""
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)S?$")
_MARKUP = re.compile(r"\[/?[a-z ]*\]")
_ONLY_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", flags=re.DOTALL)
_OWN_RETRIES = ("openai/", "openai-api/")
"""Providers whose SDK retries by itself; that is switched off, so that `retries` says all there is."""
_importing = Lock()
"""inspect_ai is a large circle of modules: two threads that import it at once may each see the half of it."""
_UNLIMITED = 100_000
"""The engine hands out as many items as may be asked at once. inspect_ai would let the first model that is asked with a
key decide for all models of that key."""
_OWN_WEIGHTS = ("hf/", "vllm/", "sglang/", "llama-cpp-python/")
"""Providers that load weights or start a server themselves where no server is named."""


class ModelSettings(BaseModel):
    """One model in a recipe: what it is called and how it is asked. Keys are never written here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """inspect_ai's name: `openai/gpt-4o`, `google/gemini-...`, `vllm/...`, `hf/...`, or `openai-api/<name>/<model>`
    for any compatible server, whose key is in `<NAME>_API_KEY`."""
    temperature: float | None = Field(default=None, ge=0)
    """None: the provider's default."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    """Limit of one reply."""
    seed: int | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    base_url: str | None = None
    """Where the server is, such as `http://localhost:8000/v1`; None: `<NAME>_BASE_URL`, or the provider's own."""
    concurrency: int = Field(default=8, ge=1)
    """Calls at once; the workers of a run share them, ranks have as many each."""
    timeout_s: int = Field(default=600, ge=1)
    """Limit of one attempt."""
    retries: int = Field(default=5, ge=0)
    """Attempts after the first: 429, 5xx, dropped connections and timeouts, with growing pauses."""

    @property
    def in_process(self) -> bool:
        """Whether its weights are loaded by the process that asks (`hf/...`), or a server is started for it."""
        return self.model.startswith(_OWN_WEIGHTS) and not self.base_url

    @property
    def watches_videos(self) -> bool:
        """Whether it takes a video file whole: Gemini does; Vertex keeps no uploaded files."""
        return self.model.startswith("google/") and not self.model.startswith("google/vertex/")

    undecisive: ClassVar[frozenset[str]] = frozenset({"base_url", "concurrency", "timeout_s", "retries"})
    """Settings that do not decide what a model says: changing them pays for nothing again."""

    @field_validator("model")
    @classmethod
    def _named(cls, value: str) -> str:
        if not all(value.partition("/")):
            raise ValueError("a model is <provider>/<name>, such as openai-api/local/qwen")
        return value

    @field_validator("base_url")
    @classmethod
    def _without_key(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://x")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a base URL begins with http:// or https:// and a host")
        if parts.username or parts.password or parts.query:
            raise ValueError("a base URL holds no name, password or query; put the key into the environment")
        return value


ModelRole = Annotated[ModelSettings, BeforeValidator(lambda value: spelled_out(value, "model"))]
"""A recipe field that holds a model: `{model: ..., temperature: ...}`, or its name alone."""


class AtHand(NamedTuple):
    """A model that whoever runs us has made, with its own settings, limits and log, and the loop it is asked on."""

    model: "Model"
    loop: "AbstractEventLoop"


def connect(settings: ModelSettings) -> "Model":
    """The inspect_ai model; made once per process for equal settings.

    Raises:
        SeekerError: inspect_ai or the provider's package is not installed, no key, no such provider.
    """
    try:
        with _importing:
            from inspect_ai._util.error import PrerequisiteError
            from inspect_ai.model import get_model
    except ImportError:
        raise SeekerError(f"{settings.model} needs: pip install 'videoseeker-toolkit[models]'") from None
    arguments: dict[str, Any] = {"max_retries": 0} if settings.model.startswith(_OWN_RETRIES) else {}
    try:
        model = get_model(settings.model, config=_config(settings), base_url=_base_url(settings), **arguments)
    except (PrerequisiteError, RuntimeError, ValueError, ImportError, OSError) as error:
        what = said_of(error).partition(": ")[2].removeprefix("ERROR: ")
        raise SeekerError(f"{settings.model}: {what}") from None
    make_patient(model)
    return model


async def ask(
    settings: ModelSettings,
    messages: "Sequence[ChatMessage]",
    tools: "Sequence[ToolInfo]" = (),
    schema: type[BaseModel] | None = None,
    first_id: int = 1,
    at_hand: AtHand | None = None,
) -> Reply:
    """One reply of a model.

    Args:
        settings: which model, and how.
        messages: the conversation, in inspect_ai's form.
        tools: what it may call.
        schema: the JSON that the reply should be, where the provider can enforce it.
        first_id: number of the reply's first tool call.
        at_hand: the model to ask, as its own settings say; None: the one that `settings` names.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package, which would fail every item.
        ItemError: `model_failed` when there is no reply after all retries.
        LimitExceededError: of a model at hand, when the limits of its runner are reached.
    """
    model, loop = at_hand or (connect(settings), None)
    more: dict[str, Any] = {} if at_hand else {"config": _config(settings, schema)}
    for _ in range(1 + settings.retries):
        try:
            output = await on_model_loop(model.generate(list(messages), tools=list(tools), **more), loop)
        except Exception as error:  # every provider has errors of its own, and all may quote a key: none may pass
            note(settings.model)
            if at_hand and type(error).__name__ == "LimitExceededError":
                raise
            raise failure_of(settings, error) from None
        used = _usage(output)
        note(settings.model, used.get("input_tokens", 0), used.get("output_tokens", 0))
        if not _says_nothing(output):
            return _read(output, first_id)
        log(f"{settings.model}: an empty reply without any choice")
    raise ItemError("model_failed", f"{settings.model}: an empty reply without any choice", retryable=True)


def as_content(blocks: Sequence[Block], uri: Callable[[Image], str]) -> "list[Content]":
    """Blocks in their order as inspect_ai's content; `uri` gives the data URI of a picture."""
    from inspect_ai.model import ContentImage, ContentText

    return [
        ContentText(text=block.text) if isinstance(block, Text) else ContentImage(image=uri(block)) for block in blocks
    ]


def without_secrets(text: str) -> str:
    """A text with the value of every key in the environment replaced by the variable's name."""
    secrets = {v: k for k, v in os.environ.items() if _SECRET_NAME.search(k.upper()) and len(v) >= 8}
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, f"<{secrets[value]}>")
    return text


def said_of(error: BaseException, most: int = 300) -> str:
    """What went wrong, in one line without secrets, the request or terminal markup."""
    text = getattr(error, "provider_message", "") or getattr(error, "message", "") or str(error)
    text = " ".join(_MARKUP.sub("", without_secrets(str(text))).split())
    return f"{type(error).__name__}: {text}"[:most].rstrip(": ")


def _base_url(settings: ModelSettings) -> str | None:
    """The server's address, also a variable's: inspect_ai keeps models by what they were made with."""
    provider, _, rest = settings.model.partition("/")
    variable = f"{rest.partition('/')[0]}_BASE_URL".upper().replace("-", "_")
    return settings.base_url or (os.environ.get(variable) if provider == "openai-api" else None)


def _config(settings: ModelSettings, schema: type[BaseModel] | None = None) -> "GenerateConfig":
    from inspect_ai.model import GenerateConfig, ResponseSchema
    from inspect_ai.util import json_schema

    wanted = ResponseSchema(name=schema.__name__, json_schema=json_schema(schema), strict=True) if schema else None
    return GenerateConfig(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
        reasoning_effort=settings.reasoning_effort,
        max_connections=_UNLIMITED,
        attempt_timeout=settings.timeout_s,
        max_retries=settings.retries,
        response_schema=wanted,
    )


def failure_of(settings: ModelSettings, error: BaseException) -> SeekerError | ItemError:
    """The error of a call that failed for good, told to whom it concerns."""
    while type(error).__name__ in ("RetryError", "ModelGenerateError") and error.__cause__:
        error = error.__cause__
    status = next((s for s in (getattr(error, n, None) for n in ("status_code", "code")) if isinstance(s, int)), 0)
    what = f"{settings.model}: {said_of(error)}"
    if settings.model.startswith("google/") and _GOOGLES_KEY.search(str(error)):
        status = 401
    if status in _USERS:
        return SeekerError(f"{what} ({_USERS[status]})")
    return ItemError("model_failed", what, retryable=status not in _FINAL)


def _says_nothing(output: "ModelOutput") -> bool:
    """Whether there is no reply; where Google sends no candidate, inspect_ai puts words of its own in its place."""
    from inspect_ai._util.constants import NO_CONTENT

    return output.empty or (output.completion == NO_CONTENT and not output.message.tool_calls)


def _read(output: "ModelOutput", first_id: int) -> Reply:
    """inspect_ai's output as a `Reply`: reasoning as `<think>`, calls numbered as the conversation counts them."""
    parts = output.message.content
    thoughts, words, refused = "", parts if isinstance(parts, str) else "", False
    for part in [] if isinstance(parts, str) else parts:
        if part.type == "reasoning":
            thoughts += part.summary or "" if part.redacted else part.reasoning
        elif part.type == "text":
            words, refused = words + part.text, refused or bool(part.refusal)
    if thoughts.strip():
        alone = _ONLY_THOUGHT.fullmatch(words)
        if alone and alone[1].strip() == thoughts.strip():  # inspect_ai leaves a reply's only thought in the text too
            words = ""
        words = f"<think>{escape_markers(thoughts.strip(), thoughts_too=True)}</think>\n{words.strip()}".strip()
    calls = tuple(
        ToolCall(
            id=f"call_{first_id + n}",
            name=call.function,
            arguments=json.loads(json.dumps(call.arguments), parse_constant=str),
            error="the arguments of the call are not a JSON object" if call.parse_error else "",
        )
        for n, call in enumerate(output.message.tool_calls or [])
    )
    stop = StopReason.REFUSED if refused else _STOPS.get(output.stop_reason)
    return Reply(text=words, tool_calls=calls, stop=stop, usage=_usage(output))


def _usage(output: "ModelOutput") -> dict[str, int]:
    """Calls and tokens; `input_tokens` counts cached ones too."""
    counts: Counter[str] = Counter(calls=1)
    if usage := output.usage:
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        counts.update(
            input_tokens=usage.input_tokens + cached,
            cached_tokens=usage.input_tokens_cache_read or 0,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens or 0,
        )
    return {name: count for name, count in counts.items() if count}
