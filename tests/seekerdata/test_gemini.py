"""google/...: Gemini watches the video itself, uploaded once and without its name; every fault over the wire."""

import asyncio
import hashlib
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from clips import make_clip
from servers.gemini_server import (
    BLOCKED,
    NO_CANDIDATES,
    TRUNCATED,
    GeminiRequest,
    GeminiScript,
    GeminiServer,
    Upload,
    Uploading,
)
from servers.loopback import Dropped, Raw, Refused, Stalled
from servers.openai_server import Called, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import ItemError, SeekerError
from seekerdata.judge import Judge
from seekerdata.models import ModelSettings, ask
from seekerdata.native_video import MAX_BYTES, kind_of
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make
from seekerdata.policies.model import SHOWN_BELOW
from seekerdata.prompts import RENDER, VERIFY, VERIFY_WATCHED
from seekerdata.role import probe
from seekerdata.rollout import Reply, RolloutSettings, rollout
from seekerdata.sample import Sample, Target
from seekerdata.stage import Drop, Item
from seekerdata.stages.filter import Filter
from seekerdata.stages.verify import Verify
from seekerdata.trajectory import StopReason, Trajectory
from seekerdata.verdict import PhraseVerdict, decide
from seekerdata.video import Video
from seekerdata.workspace import Workspace

KEY = "AIza-test-0123456789"
NAME = "google/gemini-3.1-pro"
QUESTION = "What does the man in the red coat hold?"
SAID = {
    "is_valid": True,
    "category": "none",
    "reason": "only one",
    "description": "the man in the red coat",
    "tag": "man in a red coat",
    "window": {"start_s": 2.0, "end_s": 8.0},
    "question": "What does <vp> hold?",
    "options": ["A cup", "A hat"],
    "shape": "ellipse",
}
GOOD = Said(json.dumps(SAID))


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key, and a folder of the test's own for what inspect_ai remembers of uploads."""
    for name in ("GEMINI_API_KEY", "GOOGLE_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_USE_ADC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "remembered"))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of inspect_ai, the SDK and our own, noted instead of waited."""
    noted: list[float] = []
    wait = asyncio.sleep

    async def sleep(seconds: float, *more: Any) -> None:
        noted.append(seconds)
        await wait(0)

    for place in ("asyncio.sleep", "anyio._backends._asyncio.sleep", "inspect_ai.model._retry._sleep"):
        monkeypatch.setattr(place, sleep)
    monkeypatch.setattr(time, "sleep", noted.append)
    return noted


@pytest.fixture
def asked(sample: Sample) -> Sample:
    target = Target(tag="SECRET", description="SECRET", reason="SECRET", evidence="SECRET")
    return sample.model_copy(
        update={"question": QUESTION, "options": ("A cup", "A hat"), "answer": "A", "target": target}
    )


def stage(server: GeminiServer, **changes: Any) -> Verify:
    model = {"model": changes.pop("model", NAME), "base_url": server.url, "retries": changes.pop("retries", 1)}
    return Verify.model_validate({"by": "model", "model": {**model, **changes.pop("settings", {})}, **changes})


def process(server: GeminiServer, sample: Sample, folder: Path, **changes: Any) -> Item | Drop:
    return stage(server, **changes).process(Item(sample=sample), Workspace(root=folder, video_root=folder))


def say(server: GeminiServer, **changes: Any) -> Reply:
    from inspect_ai.model import ChatMessageUser

    settings = ModelSettings.model_validate({"model": NAME, "base_url": server.url, "retries": 1, **changes})
    return asyncio.run(ask(settings, [ChatMessageUser(content="hello")]))


def test_the_video_itself_is_shown_and_nothing_else(asked: Sample, clip_path: Path, tmp_path: Path) -> None:
    video = tmp_path / "a red SECRET at 4 s.mp4"
    video.write_bytes(clip_path.read_bytes())
    asked = asked.model_copy(update={"video": asked.video.model_copy(update={"path": video.name})})
    with GeminiServer(in_turn(GOOD), key=KEY) as server:
        done = process(server, asked, tmp_path)
    assert isinstance(done, Item)
    target = done.sample.target
    assert (target.tag, target.window_s, target.vp_question) == ("man in a red coat", (2.0, 8.0), SAID["question"])
    cost = {"model": NAME, "prompt": VERIFY_WATCHED.hash, "calls": 1, "input_tokens": 100, "output_tokens": 10}
    assert done.sample.provenance == {
        "verify": {"by": "model", "recommended_shape": "ellipse", "shown": "video"} | cost
    }
    (request,), (file,) = server.requests, server.files.values()
    assert hashlib.sha256(file.data).hexdigest() == hashlib.sha256(clip_path.read_bytes()).hexdigest()
    assert request.videos == [(f"{server.url}/v1beta/files/f1", "video/mp4")]
    assert ["fileData" in part for part in request.parts] == [True, False] and not request.images
    assert request.system == VERIFY_WATCHED.text
    fields = {"duration_s": 20.0, "question": QUESTION, "options": ["A cup", "A hat"]}
    assert json.loads(request.parts[1]["text"]) == fields
    assert request.schema and set(request.schema["properties"]) == set(SAID)
    sent = json.dumps([request.body, request.headers, file.headers, file.body])
    assert "SECRET" not in sent and "red%20" not in sent and video.stem not in sent


@pytest.mark.parametrize("threads", [1, 6])
def test_a_video_is_uploaded_once_for_all_its_questions(threads: int, asked: Sample, clip_path: Path) -> None:
    questions = [asked.model_copy(update={"id": str(n)}) for n in range(6)]
    with (
        GeminiServer(in_turn(GOOD), lambda step: Upload(looks=2)) as server,
        ThreadPoolExecutor(threads) as pool,
    ):
        done = list(pool.map(lambda sample: process(server, sample, clip_path.parent), questions))
    assert all(isinstance(item, Item) for item in done)
    assert (server.asked["start"], server.asked["upload"], server.asked["generate"]) == (1, 1, 6)


def test_a_file_that_google_has_deleted_is_uploaded_again(asked: Sample, clip_path: Path) -> None:
    with GeminiServer(in_turn(GOOD)) as server:
        for kept in (True, False):
            process(server, asked, clip_path.parent)
            if kept:
                server.delete("files/f1")
    assert (server.asked["start"], list(server.files)) == (2, ["files/f2"])
    with GeminiServer(in_turn(GOOD)) as another:
        process(another, asked, clip_path.parent)
    assert another.asked["start"] == 1


def test_a_file_is_waited_for_until_it_is_ready(asked: Sample, clip_path: Path, pauses: list[float]) -> None:
    with GeminiServer(in_turn(GOOD), lambda step: Upload(looks=3)) as server:
        process(server, asked, clip_path.parent)
    assert [seconds for seconds in pauses if seconds] == [3, 3, 3]
    assert server.asked["generate"] == 1


def test_a_file_that_is_never_ready_is_given_up(asked: Sample, clip_path: Path) -> None:
    with (
        GeminiServer(in_turn(GOOD), lambda step: Upload(looks=10**9)) as server,
        pytest.raises(ItemError) as caught,
    ):
        process(server, asked, clip_path.parent, retries=0, settings={"timeout_s": 1})
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert server.asked["generate"] == 0


def test_a_file_that_google_cannot_read_fails_for_good(asked: Sample, clip_path: Path) -> None:
    with (
        GeminiServer(in_turn(GOOD), lambda step: Upload(looks=1, failed=True)) as server,
        pytest.raises(ItemError, match="unreadable video") as caught,
    ):
        process(server, asked, clip_path.parent)
    assert (caught.value.code, caught.value.retryable) == ("unsupported_video", False)
    assert (server.asked["start"], server.asked["generate"]) == (1, 0)


def failing(step: str, fault: Answer, times: int) -> Uploading:
    """Uploads that fail at one step, so many times."""
    left = [fault] * times

    def uploading(now: str) -> Any:
        return left.pop() if now == step and left else Upload()

    return uploading


UPLOAD_FAULTS = [
    ("start", Refused(429, retry_after="2")),
    ("start", Refused(500)),
    ("start", Dropped()),
    ("start", Raw(b"{}")),
    ("upload", Refused(503)),
    ("upload", Dropped()),
    ("upload", Raw(b'{"file": {"na')),
]


@pytest.mark.parametrize(("step", "fault"), UPLOAD_FAULTS)
def test_an_upload_that_fails_is_tried_again(step: str, fault: Answer, asked: Sample, clip_path: Path) -> None:
    with GeminiServer(in_turn(GOOD), failing(step, fault, 1)) as server:
        assert isinstance(process(server, asked, clip_path.parent), Item)
    assert len(server.files) == 1


@pytest.mark.parametrize(("step", "fault"), UPLOAD_FAULTS)
def test_an_upload_that_keeps_failing_is_one_row(step: str, fault: Answer, asked: Sample, clip_path: Path) -> None:
    with GeminiServer(in_turn(GOOD), failing(step, fault, 99)) as server, pytest.raises(ItemError) as caught:
        process(server, asked, clip_path.parent, retries=2)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert server.asked["generate"] == 0 and server.asked["start"] <= 3, "attempts are bounded"


@pytest.mark.parametrize("step", ["start", "upload", "generate"])
def test_a_server_that_stalls_is_given_up(step: str, asked: Sample, clip_path: Path) -> None:
    script = in_turn(Stalled() if step == "generate" else GOOD)
    with GeminiServer(script, failing(step, Stalled(), 1)) as server, pytest.raises(ItemError) as caught:
        process(server, asked, clip_path.parent, retries=0, settings={"timeout_s": 1})
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert "time" in caught.value.message.lower()


@pytest.mark.parametrize(
    ("fault", "asked_for"),
    [(Refused(429, retry_after="2"), 2), (Refused(500), 2), (Refused(503), 2), (Dropped(), 4)],
)
def test_a_fault_that_stays_is_a_retryable_failure(fault: Answer, asked_for: int) -> None:
    with GeminiServer(in_turn(fault)) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)
    assert server.asked["generate"] == asked_for, "a dropped connection is tried twice by the SDK at each attempt"


@pytest.mark.parametrize("fault", [Refused(429), Refused(500), Dropped()])
def test_a_fault_that_passes_is_not_noticed(fault: Answer) -> None:
    with GeminiServer(in_turn(fault, Said("fine"))) as server:
        assert say(server).text == "fine"


@pytest.mark.parametrize("nothing", [NO_CANDIDATES, Raw(b"{}"), Raw(b""), TRUNCATED])
def test_no_reply_is_a_failure_and_never_words(nothing: Answer) -> None:
    with GeminiServer(in_turn(nothing)) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        (BLOCKED, StopReason.REFUSED),
        *((Said(None, finish=reason), StopReason.REFUSED) for reason in ("SAFETY", "PROHIBITED_CONTENT", "RECITATION")),
        (Said("a", finish="length"), StopReason.TOO_LONG),
        (Said("a"), None),
    ],
)
def test_how_a_reply_ends(said: Answer, stop: StopReason | None) -> None:
    with GeminiServer(in_turn(said)) as server:
        assert say(server).stop == stop


@pytest.mark.parametrize("said", [BLOCKED, Said(None, finish="SAFETY")])
def test_a_video_that_is_blocked_is_a_refusal(said: Answer, asked: Sample, clip_path: Path) -> None:
    with GeminiServer(in_turn(said)) as server, pytest.raises(ItemError) as caught:
        process(server, asked, clip_path.parent)
    assert (caught.value.code, caught.value.retryable) == ("model_refused", False)


def test_thoughts_and_tokens_are_read() -> None:
    with GeminiServer(in_turn(Said("white", reasoning="hm", usage=(7, 3)))) as server:
        reply = say(server, max_tokens=40, temperature=0.5)
    assert reply.text == "<think>hm</think>\nwhite"
    assert reply.usage == {"calls": 1, "input_tokens": 7, "output_tokens": 5, "reasoning_tokens": 2}
    generation = server.requests[0].body["generationConfig"]
    assert (generation["maxOutputTokens"], generation["temperature"]) == (40, 0.5)


def test_a_request_that_can_never_work_is_not_tried_again() -> None:
    with GeminiServer(in_turn(Refused(400, "bad picture"))) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert caught.value.message == f"{NAME}: ClientError: bad picture" and not caught.value.retryable
    assert server.asked["generate"] == 1


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (lambda: GeminiServer(in_turn(GOOD), key="another"), "the key is wrong"),
        (lambda: GeminiServer(in_turn(Refused(403, f"{KEY} was reported as leaked"))), "the key is wrong"),
        (lambda: GeminiServer(in_turn(GOOD), models="gemini-1"), "no such model"),
    ],
)
@pytest.mark.parametrize("probed", [True, False])
def test_what_concerns_every_item_ends_the_run_in_one_line(
    probed: bool, server: Callable[[], GeminiServer], words: str, asked: Sample, clip_path: Path
) -> None:
    with server() as running, pytest.raises(SeekerError) as caught:
        if probed:
            asyncio.run(probe(ModelSettings(model=NAME, base_url=running.url), pictures=True))
        process(running, asked, clip_path.parent)
    assert words in str(caught.value) and "\n" not in str(caught.value) and KEY not in str(caught.value)


def test_a_probe_costs_one_call_and_uploads_nothing() -> None:
    with GeminiServer(in_turn(Said("OK")), key=KEY) as server:
        asyncio.run(probe(ModelSettings(model=NAME, base_url=server.url), pictures=True))
    assert (server.asked, len(server.requests[0].images)) == ({"generate": 1}, 1)


def test_without_a_key_the_line_says_which_is_missing(
    asked: Sample, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY")
    with GeminiServer(in_turn(GOOD)) as server, pytest.raises(SeekerError, match="GOOGLE_API_KEY"):
        process(server, asked, clip_path.parent)


def test_a_file_that_is_gone_is_one_items_failure() -> None:
    gone = Refused(403, "You do not have permission to access the File f1 or it may not exist.")
    with GeminiServer(in_turn(gone)) as server, pytest.raises(ItemError) as caught:
        say(server)
    assert caught.value.retryable


def test_the_key_is_in_no_file_of_a_run(tmp_path: Path) -> None:
    faults: list[GeminiScript] = [in_turn(Refused(500, f"no {KEY}")), in_turn(Said(f"not JSON {KEY}"))]
    for n, script in enumerate(faults):
        uploading = failing("start", Refused(500, f"no {KEY}"), n)
        with GeminiServer(script, uploading, key=KEY) as server:
            recipe = {
                "name": "keyless",
                "out": tmp_path / f"run{n}",
                "source": {"use": "world", "level": 1, "videos": 1, "questions_per_video": 3},
                "filter": {"by": "rules", "allow": ["counting"]},
                "verify": {"by": "model", "model": {"model": NAME, "base_url": server.url, "retries": 1}},
                "engine": {"workers": 1},
            }
            report = build(BuildRecipe.model_validate(recipe))
        assert report.rows["qa"] == 0 and server.asked["generate"] == 6
        assert (server.asked["start"], server.asked["upload"]) == (1 + n, 1), "once for all questions of a run"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.db", "run.log", "google_files.db"} <= {path.name for path in files}
    assert "upload 1 failed, again in 1.0 s" in (tmp_path / "run1" / "run.log").read_text()
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mp4", "video/mp4"), ("a.mov", "video/quicktime"), ("a.avi", "video/avi"), ("a.flv", "video/x-flv")],
)
def test_a_file_says_itself_what_it_is(name: str, kind: str, tmp_path: Path) -> None:
    misnamed = make_clip(tmp_path / name, seconds=0.5).rename(tmp_path / "a.bin")
    assert kind_of(str(misnamed)) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webm", "video/webm"),
        (b"\x00\x00\x00\x08wide\x00\x01\x02\x03mdat", "video/quicktime"),
        (b"\x00\x00\x00\x18ftyp3gp4", "video/3gpp"),
        (b"\x00\x00\x01\xba\x44\x00", "video/mpeg"),
    ],
)
def test_other_kinds_that_gemini_reads(head: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(head)
    assert kind_of(str(tmp_path / "a")) == kind


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_a_kind_that_gemini_does_not_read_is_refused_before_any_call(name: str, asked: Sample, tmp_path: Path) -> None:
    make_clip(tmp_path / name, seconds=0.5)
    asked = asked.model_copy(update={"video": asked.video.model_copy(update={"path": name})})
    with GeminiServer(in_turn(GOOD)) as server, pytest.raises(ItemError, match="say show: frames") as caught:
        process(server, asked, tmp_path)
    assert caught.value.code == "unsupported_video" and not server.asked


def test_a_file_that_is_too_large_is_refused_before_any_call(asked: Sample, clip_path: Path, tmp_path: Path) -> None:
    large = tmp_path / asked.video.path
    large.write_bytes(clip_path.read_bytes())
    with large.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)  # a hole takes no room
    with GeminiServer(in_turn(GOOD)) as server, pytest.raises(ItemError, match="Gemini takes") as caught:
        process(server, asked, tmp_path)
    assert caught.value.code == "unsupported_video" and not server.asked


def test_frames_are_shown_where_a_recipe_says_so(asked: Sample, clip_path: Path) -> None:
    with GeminiServer(in_turn(GOOD)) as server:
        done = process(server, asked, clip_path.parent, show="frames", max_frames=5)
    assert isinstance(done, Item)
    facts = done.sample.provenance["verify"]
    assert (facts["shown"], facts["frames"], facts["prompt"]) == ("frames", 5, VERIFY.hash)
    parts = server.requests[0].parts
    assert ["inlineData" in part for part in parts] == [False, True] * 5 + [False]
    assert [part["text"] for part in parts[:-1:2]] == [f"<{t:.1f} seconds>" for t in (0, 4, 8, 12, 16)]
    assert set(server.asked) == {"generate"}


@pytest.mark.parametrize(
    ("model", "watches"),
    [(NAME, True), ("google/vertex/gemini-3-pro", False), ("openai-api/google/gemini", False), ("vllm/qwen", False)],
)
def test_who_watches_videos(model: str, watches: bool) -> None:
    assert ModelSettings(model=model).watches_videos is watches


def test_the_way_it_is_shown_is_the_fingerprint() -> None:
    def fingerprint(model: str, **settings: Any) -> str:
        return Verify.model_validate({"by": "model", "model": model, **settings}).fingerprint()

    frames = fingerprint(NAME, show="frames")
    assert fingerprint(NAME) != frames != fingerprint(NAME, show="frames", fps=2.0)
    assert fingerprint(NAME) == fingerprint(NAME, fps=2.0, max_frames=9, max_pixels=4096)
    other = "openai-api/local/any"
    assert fingerprint(other) == fingerprint(other, show="frames") != fingerprint(other, fps=2.0)
    assert Verify().fingerprint() == Verify(show="frames").fingerprint()


@pytest.mark.parametrize(("model", "frame"), [("google/gemini-2.5-pro", 258), (NAME, 70)])
def test_a_plan_counts_what_is_watched(model: str, frame: int) -> None:
    def load(**changes: Any) -> Any:
        return Verify.model_validate({"by": "model", "model": model, **changes})

    minute, two = (load().loads(seconds)["model"] for seconds in (60.0, 120.0))
    assert (minute.images, two.input_tokens - minute.input_tokens) == (0, 60 * (frame + 39))
    assert load().loads(None)["model"] == load().loads(180.0)["model"]
    assert load(show="frames").loads(60.0)["model"].images == 60


VIEW = Called("view_visual_prompt", {"frame_path": "prompt_1"})
CROP = Called("crop_video", {"video_path": "video", "start_time": 8, "end_time": 11})
ANSWER = Said("<think>It is white.</think>\n<answer>B</answer>")


def play(server: GeminiServer, sample: Sample, video: Video, prompts: list[PromptFrame]) -> Trajectory:
    policy = make("policies", {"use": "model", "model": {"model": NAME, "base_url": server.url, "retries": 0}})
    return asyncio.run(rollout(policy, sample, video, prompts, RolloutSettings(overview_max_frames=6)))


def seen(request: GeminiRequest) -> list[str]:
    """What a server saw, in order: each text, and `WxH` for each picture; calls and results apart."""
    pictures = (PIL.Image.open(io.BytesIO(data)) for data in request.images)
    sizes = (f"{p.size[0]}x{p.size[1]}" for p in pictures)
    shown = [part for part in request.parts if "text" in part or "inlineData" in part]
    return [part["text"] if "text" in part else next(sizes) for part in shown]


def test_gemini_plays_the_tools_and_sees_stamps_beside_their_frames(
    sample: Sample, video: Video, prompts: list[PromptFrame]
) -> None:
    script = in_turn(Said("<think>Where?</think>", (VIEW, Called("fly", {}))), Said(None, (CROP,)), ANSWER)
    with GeminiServer(script) as server:
        trajectory = play(server, sample, video, prompts[:1])
    assert (trajectory.stop, trajectory.answer) == (StopReason.ANSWERED, "B")
    last = server.requests[-1]
    blocks = [block for turn in trajectory.turns[1:-1] for block in turn.content]
    recorded = [b.text if b.type == "text" else f"{b.size_wh[0]}x{b.size_wh[1]}" for b in blocks]
    told = next(text for text in recorded if "no tool 'fly'" in text)
    assert seen(last) == [text for text in recorded if text != told]
    results = [part["functionResponse"] for part in last.parts if "functionResponse" in part]
    assert [result["name"] for result in results] == ["view_visual_prompt", "fly", "crop_video"]
    assert [result["response"]["output"] for result in results] == [SHOWN_BELOW, told, SHOWN_BELOW]
    calls = [[part for part in c["parts"] if "functionCall" in part] for c in last.contents if c["role"] == "model"]
    assert ["thoughtSignature" in call for turn in calls for call in turn] == [True, False, True]
    assert last.tools == ["crop_video", "view_visual_prompt"]
    assert last.text.count("(no content)") == 0


def test_gemini_filters_rewrites_and_judges(sample: Sample) -> None:
    verdict = {"is_valid": True, "category": "none", "reason": "the man"}
    replies = [verdict, {"question": "What?", "options": []}, {"score": 1, "reason": "the same"}]
    with GeminiServer(in_turn(*(Said(json.dumps(reply)) for reply in replies))) as server:
        model = ModelSettings(model=NAME, base_url=server.url, retries=0)
        kept = Filter(by="model", model=model).process(Item(sample=sample), Workspace(root=Path(), video_root=Path()))
        rewritten = asyncio.run(decide(model, RENDER, RENDER.item(question="<vp>?"), PhraseVerdict))
        judged = asyncio.run(Judge(model).compare("What falls?", "a cup", "the cup"))
    assert isinstance(kept, Item)
    assert (rewritten.verdict.question, judged.verdict.score) == ("What?", 1)
    assert all(request.schema and request.schema["type"] == "object" for request in server.requests)
