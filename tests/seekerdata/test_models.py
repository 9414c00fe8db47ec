"""Models: every fault of a server has its outcome, a key never leaves the environment, a bad start is one line."""

import asyncio
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from servers.loopback import Dropped, Raw, Refused, Stalled
from servers.openai_server import NO_CHOICES, TRUNCATED, Called, ChatServer, Said, Script, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.errors import ItemError, SeekerError
from seekerdata.models import ModelSettings, ask, connect, said_of, without_secrets
from seekerdata.role import probe
from seekerdata.rollout import Reply
from seekerdata.run_log import logging
from seekerdata.trajectory import StopReason

KEY = "sk-local-0123456789"
NAME = "openai-api/local/any"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", KEY)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses between attempts, in seconds, noted instead of waited."""
    noted: list[float] = []

    async def note(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr("inspect_ai.model._retry._sleep", note)
    yield noted


def settings(server: ChatServer, **changes: Any) -> ModelSettings:
    return ModelSettings(**{"model": NAME, "base_url": server.url, "retries": 2, **changes})


def say(server: ChatServer, text: str = "hello", schema: type[BaseModel] | None = None, **changes: Any) -> Reply:
    from inspect_ai.model import ChatMessageUser

    return asyncio.run(ask(settings(server, **changes), [ChatMessageUser(content=text)], schema=schema))


def test_a_reply_has_its_words_and_its_usage() -> None:
    with ChatServer(in_turn(Said("hi", usage=(7, 3))), key=KEY) as server:
        reply = say(server, temperature=0.5, max_tokens=40, seed=3)
    assert reply == Reply(text="hi", usage={"calls": 1, "input_tokens": 7, "output_tokens": 3})
    body = server.requests[0].body
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("any", 0.5, 40, 3)
    assert server.requests[0].text == "hello"


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Refused(429, retry_after="120"), 3),
        (Refused(500), 3),
        (Refused(503), 3),
        (Dropped(), 3),
        (TRUNCATED, 3),
        (NO_CHOICES, 3),
        (Raw(b""), 3),
        (Raw(b"<html>busy</html>"), 3),
        (Refused(403), 1),
    ],
)
def test_a_fault_that_stays_is_a_retryable_failure(fault: Answer, attempts: int, pauses: list[float]) -> None:
    with ChatServer(in_turn(fault)) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert caught.value.message.startswith(f"{NAME}: ") and "\n" not in caught.value.message
    assert len(server.requests) == attempts, "retries are bounded"
    assert len(pauses) == (0 if fault is NO_CHOICES else attempts - 1)


@pytest.mark.parametrize("fault", [Refused(429, retry_after="1"), Refused(502), Dropped()])
def test_a_fault_that_passes_is_not_noticed(fault: Answer, pauses: list[float]) -> None:
    with ChatServer(in_turn(fault, Said("fine"))) as server:
        assert say(server).text == "fine"
    assert set(server.counts.values()) == {2}


def test_a_server_that_asks_for_a_pause_gets_it_and_the_log_says_so(pauses: list[float], tmp_path: Path) -> None:
    faults = (Refused(429, f"slow down {KEY}", retry_after="45"), Refused(503), TRUNCATED, NO_CHOICES)
    with ChatServer(in_turn(*faults, Said("fine"))) as server, logging(tmp_path, "filter 7"):
        assert say(server, retries=4).text == "fine"
    assert pauses[0] == 45 and 2 <= pauses[1] <= 3 and 4 <= pauses[2] <= 6, pauses
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split()[1:3] for line in lines] == [["filter", "7:"]] * 4
    for line, words in zip(lines, ("45.0 s: RateLimitError", "503", "JSONDecodeError", "empty reply"), strict=True):
        assert words in line
    assert KEY not in "".join(lines)


def test_a_stalled_server_is_given_up() -> None:
    with ChatServer(in_turn(Stalled())) as server, pytest.raises(ItemError) as caught:
        say(server, timeout_s=1, retries=0)
    assert caught.value.retryable and "timeout" in caught.value.message


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_can_never_work_is_not_tried_again(status: int) -> None:
    with ChatServer(in_turn(Refused(status, "bad picture"))) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert not caught.value.retryable and "bad picture" in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("said", "stop", "text"),
    [
        (Said(None, finish="content_filter"), StopReason.REFUSED, ""),
        (Said("<think>so lo", finish="length"), StopReason.TOO_LONG, "<think>so lo"),
        (Said("x", reasoning="as </think> seen"), None, "<think>as &lt;/think> seen</think>\nx"),
        (Said("<think>hm</think>\nyes"), None, "<think>hm</think>\nyes"),
    ],
)
def test_how_a_reply_ends_and_what_was_thought(said: Said, stop: StopReason | None, text: str) -> None:
    with ChatServer(in_turn(said)) as server:
        reply = say(server)
    assert (reply.stop, reply.text) == (stop, text)


def test_calls_are_numbered_and_arguments_that_are_no_json_are_a_mistake() -> None:
    said = Said(None, calls=(Called("fly", '{"a": NaN}'), Called("crop_video", '{"start_time": 8')))
    with ChatServer(in_turn(said)) as server:
        first, second = say(server).tool_calls
    assert (first.id, first.name, first.arguments, first.error) == ("call_1", "fly", {"a": "NaN"}, "")
    assert second.id == "call_2" and "not a JSON object" in second.error


def test_a_schema_goes_with_the_request() -> None:
    class Verdict(BaseModel):
        good: bool

    with ChatServer(in_turn(Said('{"good": true}'))) as server:
        say(server, schema=Verdict)
    schema = server.requests[0].schema
    assert schema and schema["properties"]["good"]["type"] == "boolean"


@pytest.mark.parametrize("fault", [Refused(500), Refused(400), Dropped()])
def test_what_a_server_answers_is_told_without_the_source_of_every_library(fault: Answer) -> None:
    from inspect_ai.model import ChatMessageUser, GenerateConfig

    with ChatServer(in_turn(fault)) as server:
        api = connect(settings(server)).api
        try:
            done = asyncio.run(api.generate([ChatMessageUser(content="hello")], [], "auto", GenerateConfig()))
            failed = done[0] if isinstance(done, tuple) else done
        except Exception as error:
            failed = error
    assert isinstance(failed, Exception)
    drawn = "".join(traceback.format_exception(failed))
    assert "site-packages/http" not in drawn and "site-packages/openai/_base_client" not in drawn


def test_a_bug_keeps_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_ai.model import GenerateConfig

    def broken(*arguments: Any, **settings: Any) -> None:
        raise TypeError("wrong words")

    with ChatServer(in_turn(Said("hi"))) as server:
        api = connect(settings(server, top_p=0.5)).api
        monkeypatch.setattr("openai.resources.chat.completions.AsyncCompletions.create", broken)
        with pytest.raises(TypeError) as caught:
            asyncio.run(api.generate([], [], "auto", GenerateConfig()))
    assert caught.traceback[-1].name == "broken"


def test_one_model_is_asked_from_many_event_loops() -> None:
    with ChatServer(in_turn(Said("fine"))) as server:
        assert [say(server, str(n)).text for n in range(5)] == ["fine"] * 5
    assert len(server.counts) == 5


def test_a_server_named_by_the_environment_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_ai.model import ChatMessageUser

    for words in ("first", "second"):
        with ChatServer(in_turn(Said(words))) as server:
            monkeypatch.setenv("LOCAL_BASE_URL", server.url)
            asked = ask(ModelSettings(model=NAME, retries=0), [ChatMessageUser(content="who?")])
            assert asyncio.run(asked).text == words


def test_calls_run_beside_each_other() -> None:
    from inspect_ai.model import ChatMessageUser

    async def all_of(server: ChatServer) -> list[Reply]:
        asked = (ask(settings(server, concurrency=4), [ChatMessageUser(content=str(n))]) for n in range(12))
        return await asyncio.gather(*asked)

    with ChatServer(lambda request: Said(request.text)) as server:
        assert [reply.text for reply in asyncio.run(all_of(server))] == [str(n) for n in range(12)]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (in_turn(Refused(401, f"Incorrect key {KEY}")), "the key is wrong"),
        (in_turn(Refused(404, "model any does not exist")), "no such model"),
        (in_turn(Dropped()), "no answer from openai-api/local/any"),
        (in_turn(NO_CHOICES), "empty reply"),
        (in_turn(Refused(400, "images are not supported")), "can it see pictures"),
    ],
)
def test_a_probe_says_in_one_line_what_is_wrong(script: Script, words: str) -> None:
    with ChatServer(script) as server, pytest.raises(SeekerError) as caught:
        asyncio.run(probe(settings(server), pictures=True))
    assert words in str(caught.value) and "\n" not in str(caught.value) and KEY not in str(caught.value)
    assert len(server.requests) == 1


def test_a_probe_finds_a_server_that_is_not_there_and_passes_one_that_answers() -> None:
    with ChatServer(in_turn(Said("OK"))) as server:
        asyncio.run(probe(settings(server), pictures=True))
    assert len(server.requests[0].images) == 1
    with pytest.raises(SeekerError, match="no answer from"):
        asyncio.run(probe(settings(server)))


def test_a_wrong_key_ends_the_run_and_never_shows() -> None:
    with ChatServer(in_turn(Said("hi")), key="another") as server, pytest.raises(SeekerError) as caught:
        say(server)
    assert "<LOCAL_API_KEY>" in str(caught.value) and KEY not in str(caught.value)


@pytest.mark.parametrize("model", ["openai-api/elsewhere/m", "nobody/m"])
def test_a_model_that_cannot_be_reached_is_a_mistake_in_one_line(model: str) -> None:
    with pytest.raises(SeekerError) as caught:
        asyncio.run(probe(ModelSettings(model=model, base_url="http://127.0.0.1:9/v1")))
    assert str(caught.value).startswith(model) and "\n" not in str(caught.value) and "[" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"model": "gpt-4o"}, {"model": NAME, "base_url": "http://me:pass@host/v1"}, {"model": NAME, "api_key": "x"}],
)
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelSettings(**wrong)


def test_secrets_are_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    assert without_secrets(f"{KEY}, hf_abcdefgh") == "<LOCAL_API_KEY>, <HF_TOKEN>"
    assert said_of(ValueError(f"a\n[bold]b[/bold] {KEY}")) == "ValueError: a b <LOCAL_API_KEY>"
