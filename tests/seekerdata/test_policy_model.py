"""policies/model: a scripted server plays the real tools; what it saw is what the trajectory says, no more, no less."""

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from servers.loopback import Refused, Stalled
from servers.openai_server import Called, ChatServer, Request, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.errors import ItemError
from seekerdata.instructions import play_hash
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make
from seekerdata.policies.model import SHOWN_BELOW, Model
from seekerdata.rollout import RolloutSettings, rollout
from seekerdata.sample import Sample, Target
from seekerdata.stage import Drop, Item
from seekerdata.stages.solve import Solve
from seekerdata.trajectory import StopReason, Trajectory
from seekerdata.video import Video
from seekerdata.workspace import Workspace

NAME = "openai-api/local/any"
VIEW = Called("view_visual_prompt", {"frame_path": "prompt_1"})
CROP = Called("crop_video", {"video_path": "video", "start_time": 8, "end_time": 11})
ANSWER = Said("<think>It is white.</think>\n<answer>B</answer>")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


def play(
    server: ChatServer,
    sample: Sample,
    video: Video,
    prompts: list[PromptFrame],
    calls: str = "native",
    limits: dict[str, int] | None = None,
    **changes: Any,
) -> Trajectory:
    settings = {"model": NAME, "base_url": server.url, "retries": 0, **changes}
    policy = make("policies", {"use": "model", "model": settings, "calls": calls})
    shown = RolloutSettings.model_validate({"overview_max_frames": 6, **(limits or {})})
    return asyncio.run(rollout(policy, sample, video, prompts, shown))


def written(call: Called) -> str:
    return f"<tool_call>\n{json.dumps({'name': call.name, 'arguments': call.arguments})}\n</tool_call>"


def seen(request: Request) -> list[str]:
    """What a server saw, in order: each text, and `WxH` for each picture."""
    pictures = (PIL.Image.open(io.BytesIO(data)) for data in request.images)
    sizes = (f"{p.format} {p.size[0]}x{p.size[1]}" for p in pictures)
    return [part["text"] if part["type"] == "text" else next(sizes) for part in request.parts]


def recorded(trajectory: Trajectory, turns: int) -> list[str]:
    """The same of a trajectory's first turns."""
    blocks = [block for turn in trajectory.turns[:turns] for block in turn.content]
    return [b.text if b.type == "text" else f"JPEG {b.size_wh[0]}x{b.size_wh[1]}" for b in blocks]


def test_the_trajectory_is_what_the_server_saw(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    script = in_turn(Said("<think>Where?</think>", (VIEW,)), Said(None, (CROP,), reasoning="Now closely."), ANSWER)
    with ChatServer(script) as server:
        trajectory = play(server, sample, video, prompts[:1])
    assert (trajectory.stop, trajectory.answer) == (StopReason.ANSWERED, "B")
    assert [call.name for call in trajectory.calls] == [VIEW.name, CROP.name]
    assert [turn.tool_call_id for turn in trajectory.turns if turn.role == "tool"] == ["call_1", "call_2"]
    assert [trajectory.turns[n].text for n in (2, 4)] == ["<think>Where?</think>", "<think>Now closely.</think>"]
    assert [len(request.images) for request in server.requests] == [6, 7, 11]
    for request, turns in zip(server.requests, (2, 4, 6), strict=True):
        assert [part for part in seen(request) if part != SHOWN_BELOW] == recorded(trajectory, turns)
        assert request.tools == ["crop_video", "view_visual_prompt"]
    assert trajectory.usage == {"calls": 3, "input_tokens": 300, "output_tokens": 30}


def test_calls_and_results_are_paired_as_the_protocol_wants(
    sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    script = in_turn(Said("", (VIEW, CROP)), Said("", (Called("fly", {}),)), ANSWER)
    with ChatServer(script) as server:
        trajectory = play(server, sample, video, prompts)
    messages = server.requests[-1].messages
    roles = ["system", "user", "assistant", "tool", "tool", "user", "assistant", "tool"]
    assert [message["role"] for message in messages] == roles
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["call_1", "call_2"]
    assert [messages[n]["tool_call_id"] for n in (3, 4, 7)] == ["call_1", "call_2", "call_3"]
    assert json.loads(messages[2]["tool_calls"][1]["function"]["arguments"]) == CROP.arguments
    assert messages[7]["content"].startswith("Error: there is no tool 'fly'")
    assert trajectory.answer == "B"


def test_models_without_tool_calls_write_them(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    script = in_turn(Said(f"<think>a</think>{written(VIEW)}"), Said(written(CROP)), ANSWER)
    with ChatServer(script) as server:
        trajectory = play(server, sample, video, prompts, calls="text")
    assert [call.arguments for call in trajectory.calls] == [VIEW.arguments, CROP.arguments]
    assert trajectory.answer == "B"
    last = server.requests[-1]
    assert last.tools == [] and [m["role"] for m in last.messages] == ["system", "user", *["assistant", "user"] * 2]
    assert "crop_video" in last.messages[0]["content"]
    assert last.messages[2]["content"] == f"<think>a</think>\n{written(VIEW)}"
    texts = [part["text"] for part in last.messages[3]["content"] if part["type"] == "text"]
    assert texts == ["<tool_response>", "<5.0 seconds>", "</tool_response>"]
    assert len(last.images) == len(trajectory.images)


def test_a_server_that_leaves_calls_in_the_text_is_understood(
    sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    with ChatServer(in_turn(Said(written(VIEW)), Said("<tool_call>{bad</tool_call>"), ANSWER)) as server:
        trajectory = play(server, sample, video, prompts)
    assert trajectory.answer == "B" and "not valid JSON" in trajectory.turns[5].text
    assert server.requests[-1].messages[-2]["tool_calls"][0]["function"]["name"] == "unreadable"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Said("", (Called("zoom", {"a": 1}),)), "there is no tool 'zoom'"),
        (Said("", (Called("crop_video", '{"start_time": 8'),)), "not a JSON object"),
        (Said("", (Called("crop_video", "[1, 2]"),)), "Error: "),
        (Said("", (Called("crop_video", '{"video_path": "video", "start_time": NaN, "end_time": 2}'),)), "'NaN'"),
        (Said("", (Called("crop_video", {"video_path": "video", "start_time": 9, "end_time": 8}),)), "later than"),
    ],
)
def test_a_models_mistake_is_told_to_it(
    said: Said, told: str, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    with ChatServer(in_turn(said, ANSWER)) as server:
        trajectory = play(server, sample, video, prompts)
    assert told in trajectory.turns[3].text and told in server.requests[1].messages[-1]["content"]
    assert trajectory.answer == "B"
    json.loads(trajectory.model_dump_json())


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        (Said(None, finish="content_filter"), StopReason.REFUSED),
        (Said("<think>on and", finish="length"), StopReason.TOO_LONG),
        (Said("", (CROP,), finish="length"), StopReason.TOO_LONG),
        (Said(None), StopReason.NO_ANSWER),
        (Said("", (CROP,)), StopReason.MAX_ROUNDS),
    ],
)
def test_every_ending_has_a_name(
    said: Said, stop: StopReason, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    with ChatServer(in_turn(said)) as server:
        trajectory = play(server, sample, video, prompts)
    assert (trajectory.stop, trajectory.answer) == (stop, "")


@pytest.mark.parametrize(
    ("limits", "stop", "requests", "pictures"),
    [
        ({"max_frames": 6}, StopReason.MAX_FRAMES, 1, 6),
        ({"max_frames": 10}, StopReason.MAX_FRAMES, 2, 7),
        ({"max_frames": 11}, StopReason.ANSWERED, 3, 11),
        ({"max_tokens": 110}, StopReason.TOO_LONG, 1, 6),
        ({"max_tokens": 220}, StopReason.TOO_LONG, 2, 7),
        ({"max_tokens": 221}, StopReason.ANSWERED, 3, 11),
        ({"max_rounds": 1}, StopReason.MAX_ROUNDS, 2, 7),
    ],
)
@pytest.mark.parametrize("calls", ["native", "text"])
def test_a_play_ends_at_its_limits(
    calls: str,
    limits: dict[str, int],
    stop: StopReason,
    requests: int,
    pictures: int,
    sample: Sample,
    video: Video,
    prompts: list[PromptFrame],
) -> None:
    said = [(VIEW,), (CROP,)] if calls == "native" else [(), ()]
    words = ["", ""] if calls == "native" else [written(VIEW), written(CROP)]
    script = in_turn(*(Said(text, made) for text, made in zip(words, said, strict=True)), ANSWER)
    with ChatServer(script) as server:
        trajectory = play(server, sample, video, prompts, calls=calls, limits=limits)
    assert (trajectory.stop, trajectory.answer) == (stop, "B" if stop == StopReason.ANSWERED else "")
    assert len(server.requests) == requests
    assert len(trajectory.images) == pictures == len(server.requests[-1].images), "what was not sent is not recorded"


def test_limits_that_leave_no_room_for_the_overview_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no room for an overview of 256 frames"):
        RolloutSettings(max_frames=100)


@pytest.mark.parametrize("fault", [Refused(500), Refused(429, retry_after="60"), Stalled()])
def test_a_failing_server_is_a_row_that_is_tried_again(
    fault: Answer, sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    with ChatServer(in_turn(Said("", (VIEW,)), fault)) as server, pytest.raises(ItemError) as caught:
        play(server, sample, video, prompts, timeout_s=1)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert len(server.requests) == 2


def test_the_truth_is_never_sent(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    truth = Target(tag="SECRET-tag", description="SECRET-words", evidence="SECRET-sight", vp_question="SECRET-vp")
    told = sample.model_copy(update={"target": truth, "text_question": "SECRET-q", "provenance": {"x": "SECRET-p"}})
    with ChatServer(in_turn(Said("", (VIEW, CROP)), ANSWER)) as server:
        play(server, told, video, prompts)
    sent = json.dumps([request.body for request in server.requests])
    assert "SECRET" not in sent and sample.video.path not in sent and sample.video.sha256 not in sent


def test_each_picture_is_encoded_once(
    sample: Sample, video: Video, prompts: list[PromptFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seekerdata import rollout as place

    encoded: list[int] = []
    encode = place.encode_jpeg
    monkeypatch.setattr(place, "encode_jpeg", lambda rgb: encoded.append(1) or encode(rgb))
    with ChatServer(in_turn(Said("", (VIEW,)), Said("", (VIEW,)), ANSWER)) as server:
        play(server, sample, video, prompts)
    assert [len(request.images) for request in server.requests] == [6, 7, 8]
    assert len(encoded) == 7


def test_a_solved_row_says_which_model_and_what_it_took(sample: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(ANSWER, Said("<answer>C</answer>"))) as server:
        policy = {"use": "model", "model": {"model": NAME, "base_url": server.url}}
        stage, place = (
            Solve.model_validate({"by": policy}),
            Workspace(root=clip_path.parent, video_root=clip_path.parent),
        )
        assert stage.assign([Item(sample=sample)]) == {"q1": "look"}, "only a scripted policy is asked for mistakes"
        solved, missed = (stage.process(Item(sample=sample), place) for _ in range(2))
    assert isinstance(solved, Item) and solved.trajectory and solved.trajectory.correct
    facts = {"model": NAME, "dialect": "native", "calls": 1, "input_tokens": 100, "output_tokens": 10}
    facts["prompt"] = play_hash("tool")
    assert solved.sample.provenance["solve"] == facts
    assert missed == Drop(reason="answered: answered 'C', not 'B'")


def test_the_server_decides_nothing_but_the_model_does() -> None:
    def made(**changes: Any) -> str:
        return Model.model_validate({"model": {"model": NAME, **changes}}).fingerprint()

    same = [made(), made(base_url="http://h:1/v1"), made(concurrency=2), made(timeout_s=9), made(retries=0)]
    assert len(set(same)) == 1
    assert len({made(), made(temperature=0), made(max_tokens=9), made(seed=1)}) == 4


def test_it_describes_itself_without_inspect_ai() -> None:
    program = (
        "import sys; from seekerdata.plugin import *;"
        f"describe(make('policies', {{'use': 'model', 'model': '{NAME}'}}));"
        "assert not {'inspect_ai', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
