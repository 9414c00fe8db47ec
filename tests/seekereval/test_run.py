"""seekereval run: real benchmark folders and clips, a server that speaks the protocol, inspect_ai's own logs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from clips import make_clip
from material import shared
from servers.loopback import Dropped, Refused, Stalled
from servers.openai_server import Called, ChatServer, Request, Said
from servers.openai_server import Reply as Answer
from typer.testing import CliRunner

import seekerdata.judge
from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekerdata.trajectory import Text
from seekerdata.video import Video
from seekereval.benchmark import benchmark
from seekereval.cli import app
from seekereval.command import PATIENT
from seekereval.evaluation import Evaluation
from seekereval.item import Graded, Item, State
from seekereval.play import shuffled, turned
from seekereval.presets import Preset, linspace, preset_of, qwen_count
from seekereval.report import facts_of
from seekereval.results import read_results
from seekereval.run import run
from seekereval.subtitles import Subtitle

ROOT = Path(__file__).parent.parent.parent
NAME = "openai-api/local/any"
KEY = "sk-local-0123456789"
VIEW = Called("view_visual_prompt", {"frame_path": "prompt_1"})
CROP = Called("crop_video", {"video_path": "video", "start_time": 2, "end_time": 6})
RIGHT = "a white square"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", KEY)
    monkeypatch.setattr("seekerdata.patience.FIRST_S", 0.01)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in V2P-Bench's layout: eight questions about one clip, the right option at changing places."""
    folder = tmp_path_factory.mktemp("v2p")
    make_clip(folder / "videos" / "clip.mp4", seconds=12, size=(96, 64))
    (folder / "frames").mkdir()
    PIL.Image.fromarray(np.full((64, 96, 3), 40, np.uint8)).save(folder / "frames" / "mark.jpg")
    write_rows(folder, [row_of(n) for n in range(8)])
    return folder


def row_of(n: int, video: str = "clip.mp4") -> dict[str, Any]:
    options = ["a red ball", "a blue cup", "a green hat"]
    options.insert(n % 4, RIGHT)
    lines = [f"What is marked in case {n}?", *(f"{letter}: {o}" for letter, o in zip("ABCD", options, strict=True))]
    about = {"video_path": video, "frame_path": "mark.jpg", "duration": 12, "dimension": 1 + n % 2, "source": "made"}
    return {"question": "\n".join(lines), "answer": "ABCD"[n % 4], **about}


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "dataset_info.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def copy_of(data: Path, folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for name in ("videos", "frames"):
        (folder / name).symlink_to(data / name)
    write_rows(folder, rows)
    return folder


def evaluation(data: Path, preset: str = "default", **asks: Any) -> Evaluation:
    return Evaluation(benchmark="v2p_bench", data=data, preset=preset_of(preset), **asks)


def settings(server: ChatServer, **changes: Any) -> ModelSettings:
    return ModelSettings(**{"model": NAME, "base_url": server.url, "retries": 0, **changes})


def rows_in(out: Path) -> list[Graded]:
    return [Graded.model_validate_json(line) for line in (out / "results.jsonl").read_text().splitlines()]


def case(request: Request) -> int:
    """Which question was asked."""
    return int(request.text.partition("in case ")[2].partition("?")[0])


def right_letter(request: Request) -> str:
    return next(line[0] for line in request.text.splitlines() if line.endswith(f". {RIGHT}"))


def knowing(request: Request) -> Answer:
    """Looks at the mark, then names the right option."""
    if request.tools and not request.replies:
        return Said("<think>I look.</think>", (VIEW,))
    return Said(f"<think>It is white.</think><answer>{right_letter(request)}</answer>")


def test_a_model_is_asked_over_the_wire_and_all_of_it_is_written_down(data: Path, tmp_path: Path) -> None:
    with ChatServer(knowing) as server:
        out = run(evaluation(data), settings(server), tmp_path / "out", "seekereval run v2p_bench")
    assert [row.score for row in rows_in(out)] == [1.0] * 8
    assert all(row.frames == 13 and row.usage["calls"] == 2 and row.calls[0].name == VIEW.name for row in rows_in(out))
    first = server.requests[0]
    assert len(first.images) == 12 and set(first.tools) == {"view_visual_prompt", "crop_video"}
    assert (first.body["temperature"], first.body["max_tokens"]) == (0.0, 8192)
    frames = [json.loads(line) for line in (out / "frames.jsonl").read_text().splitlines()]
    overview, mark = frames[0]["looks"]
    assert overview["times_s"] == [float(n) for n in range(12)] and overview["indices"] == list(range(0, 120, 10))
    assert (mark["source"], mark["sizes_wh"]) == ("prompt_1", [[96, 64]])
    assert frames[0]["video"]["sha256"] == Video(data / "videos" / "clip.mp4").sha256
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["model"] == {"asked": NAME, "served": ["any"]}
    assert manifest["settings"]["preset"]["frames"] == 256 and manifest["decoder"].startswith("pyav ")
    assert frames[0]["video"]["decoder"] == manifest["decoder"]
    assert manifest["benchmark"]["hub_id"] == "gaotiexinqu/V2P-Bench" and manifest["benchmark"]["items"] == 8
    assert manifest["states"] == {"answered": 8} and manifest["unanswered"] == 0
    assert manifest["usage"]["calls"] == len(server.requests) == 16


def test_nothing_secret_no_picture_and_no_path_of_the_machine_is_kept(data: Path, tmp_path: Path) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log

    with ChatServer(knowing) as server:
        out = run(evaluation(data, limit=2), settings(server), tmp_path / "out")
    (log,) = list_eval_logs(str(out / "logs"))
    logged = read_eval_log(log, resolve_attachments=True).model_dump_json()
    written = logged + "".join(path.read_text() for path in out.glob("*.json*"))
    assert KEY not in written
    assert "data:image" not in written and "/9j/" not in written
    assert "[frame 3.0 s]" in logged
    assert str(ROOT) not in "".join(path.read_text() for path in out.glob("*.json*"))


def test_every_way_to_end_has_its_state_and_counts(data: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    rows = [row_of(n) for n in range(7)] + [row_of(7, "gone.mp4")]
    said: dict[int, Answer] = {
        1: Said(""),
        2: Said("<think>Again.</think>", (CROP,)),
        3: Said("<think>It may be", finish="length"),
        4: Said("", finish="content_filter"),
        5: Refused(400, "A"),
        6: Said("!" * 64),
    }

    def script(request: Request) -> Answer:
        return said.get(case(request)) or knowing(request)

    folder = copy_of(data, tmp_path / "data", rows)
    with ChatServer(script) as server:
        out = run(evaluation(folder), settings(server), tmp_path / "out")
        asked = len(server.requests)
        run(evaluation(folder), settings(server), tmp_path / "out")
        assert len(server.requests) == asked  # what cannot be mended is not asked again
    found = {int(row.item.question.partition("case ")[2][:-1]): row for row in rows_in(out)}
    want = ["answered", "missing", "truncated", "truncated", "refused", "error", "missing", "error"]
    assert [found[n].state.value for n in range(8)] == want
    assert [row.score for row in rows_in(out)] == [1.0, *[0.0] * 7]
    assert len(found[2].calls) == 6  # five rounds and the call after the last
    assert found[5].answer == "" and "model_failed" in found[5].error
    assert found[7].error.startswith("missing:")


def test_a_server_that_dies_is_an_error_that_the_next_run_mends(data: Path, tmp_path: Path) -> None:
    dead = True

    def script(request: Request) -> Answer:
        return Refused(503, "B") if dead and case(request) == 3 else knowing(request)

    with ChatServer(script) as server:
        out = run(evaluation(data, limit=6), settings(server, retries=1), tmp_path / "out")
        row = rows_in(out)[3]
        assert (row.state, row.answer, row.score) == (State.ERROR, "", 0.0)
        assert row.error.startswith("model_failed: openai-api/local/any:")
        assert sum(case(request) == 3 for request in server.requests) == 2  # tried again, then given up
        assert json.loads((out / "manifest.json").read_text())["unanswered"] == 1
        before, dead = len(server.requests), False
        run(evaluation(data, limit=6), settings(server, retries=1), tmp_path / "out")
        assert {case(request) for request in server.requests[before:]} == {3}
    assert [row.score for row in rows_in(out)] == [1.0] * 6
    assert json.loads((out / "manifest.json").read_text())["unanswered"] == 0


def test_a_server_that_is_down_for_a_while_costs_no_item(data: Path, tmp_path: Path) -> None:
    left = 6

    def script(request: Request) -> Answer:
        nonlocal left
        if case(request) == 1 and left:
            left -= 1
            return Dropped() if left % 2 else Refused(503, "B")
        return knowing(request)

    with ChatServer(script) as server:
        out = run(evaluation(data, limit=2), settings(server, retries=PATIENT), tmp_path / "out")
    assert [row.score for row in rows_in(out)] == [1.0, 1.0] and left == 0


def test_a_video_that_cannot_be_decoded_is_an_error_that_counts(data: Path, tmp_path: Path) -> None:
    folder = copy_of(data, tmp_path / "data", [row_of(0), row_of(1, "page.mp4"), row_of(2, "half.mp4")])
    (folder / "videos").unlink()
    (folder / "videos").mkdir()
    whole = (data / "videos" / "clip.mp4").read_bytes()
    (folder / "videos" / "clip.mp4").write_bytes(whole)
    (folder / "videos" / "half.mp4").write_bytes(whole[: len(whole) // 2])  # its index stood at the end
    (folder / "videos" / "page.mp4").write_text("<!doctype html><p>404")
    with ChatServer(knowing) as server:
        out = run(evaluation(folder), settings(server), tmp_path / "out")
        assert {case(request) for request in server.requests} == {0}
    rows = rows_in(out)
    assert [row.state for row in rows] == [State.ANSWERED, State.ERROR, State.ERROR]
    assert "an HTML page, not a video" in rows[1].error and rows[2].error.startswith("unreadable: ")
    facts = facts_of(read_results(out))
    assert (facts["n"], facts["headline"]) == (3, pytest.approx(100 / 3, abs=1e-5))


def test_all_marked_frames_of_an_item_are_shown(data: Path, tmp_path: Path) -> None:
    listed = [row_of(0) | {"frame_path": paths} for paths in (["mark.jpg", "mark.jpg"], '["mark.jpg", "mark.jpg"]')]
    with ChatServer(lambda request: Said("<answer>A</answer>")) as server:
        run(evaluation(copy_of(data, tmp_path / "data", listed), "v2p"), settings(server), tmp_path / "out")
    assert [len(request.images) for request in server.requests] == [66, 66]


def test_after_a_kill_no_finished_item_is_asked_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = False

    def script(request: Request) -> Answer:
        return Stalled() if not killed and case(request) >= 5 else knowing(request)

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))  # where inspect_ai finds what the first had not written
    with ChatServer(script) as server:
        command = [sys.executable, "-m", "seekereval.cli", "run", "v2p_bench", "--model", NAME, "--json"]
        command += ["--base-url", server.url, "--data", str(data), "--out", str(tmp_path / "out"), "--concurrency", "2"]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while sum(case(request) >= 5 for request in list(server.requests)) < 2:  # both places wait for the server
            assert first.poll() is None, first.communicate()[1].decode()
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        killed, before = True, len(server.requests)
        done = CliRunner().invoke(app, command[3:])
        assert done.exit_code == 0, done.output
        assert {case(request) for request in server.requests[before:]} == {5, 6, 7}
    facts = json.loads(done.stdout)
    assert (facts["n"], facts["headline"], facts["states"]["answered"]) == (8, 100.0, 8)


def test_a_wrong_key_ends_the_run_in_one_line(data: Path, tmp_path: Path) -> None:
    with ChatServer(knowing, key="another") as server:
        with pytest.raises(SeekerError, match=r"^openai-api/local/any: .*the key is wrong or missing") as caught:
            run(evaluation(data), settings(server, concurrency=2), tmp_path / "out")
        assert KEY not in str(caught.value)
        assert len(server.requests) <= 2  # nobody is asked again


def test_a_folder_holds_one_run(data: Path, tmp_path: Path) -> None:
    out = run(evaluation(data, limit=2), ModelSettings(model="seeker/random"), tmp_path / "out")
    with pytest.raises(SeekerError, match="another limit, model"):
        run(evaluation(data, limit=3), ModelSettings(model="seeker/blind"), out)


@pytest.mark.parametrize(
    ("asks", "images", "tools"),
    [
        ({"baseline": "blind"}, 0, []),
        ({"baseline": "one_frame"}, 1, []),
        ({"baseline": "no_visual_prompt"}, 12, ["crop_video"]),
        ({"preset": preset_of("default", mode="direct")}, 13, []),
        ({"preset": preset_of("default", mode="reasoning")}, 13, []),
        ({"preset": preset_of("default", tools=("view_visual_prompt",))}, 12, ["view_visual_prompt"]),
        ({"preset": preset_of("v2p")}, 65, []),
    ],
)
def test_what_is_taken_away(data: Path, tmp_path: Path, asks: dict[str, Any], images: int, tools: list[str]) -> None:
    with ChatServer(lambda request: Said("<answer>A</answer>")) as server:
        chosen = evaluation(data, limit=1).model_copy(update=asks)
        out = run(chosen, settings(server), tmp_path / "out")
    (request,) = server.requests
    assert (len(request.images), request.tools) == (images, tools)
    assert rows_in(out)[0].frames == images
    assert ("seconds>" in request.text) == (images > 1 and asks.get("preset") != preset_of("v2p"))


def sent(server: ChatServer) -> list[str]:
    """What the one request held, in order: words, and a word for every picture."""
    (request,) = server.requests
    return [part["text"] if part["type"] == "text" else "picture" for part in request.parts]


OPTIONS = ["{}a white square", "{}a red ball", "{}a blue cup", "{}a green hat"]


def with_letters(form: str) -> str:
    return "\n".join(option.format(form.format(letter)) for option, letter in zip(OPTIONS, "ABCD", strict=True))


@pytest.mark.parametrize(
    ("preset", "pictures", "words"),
    [
        (
            "v2p",
            64,
            f"What is marked in case 0?\n{with_letters('{}: ')}\nSelect the best option that accurately addresses the "
            "question. Give only your option letter, no other words.",
        ),
        (
            "videomme",
            65,
            "Select the best answer to the following multiple-choice question based on the video. Respond with only "
            "the letter (A, B, C, or D) of the correct option.\nWhat is marked in case 0?\n"
            f"{with_letters('{}. ')}\nThe best answer is:",
        ),
        (
            "longvideobench",
            13,
            f"Question: What is marked in case 0?\n{with_letters('{}. ')}\nAnswer with the option's letter from the "
            "given choices directly.",
        ),
    ],
)
def test_a_preset_asks_in_the_words_of_its_source(
    data: Path, tmp_path: Path, preset: str, pictures: int, words: str
) -> None:
    with ChatServer(lambda request: Said("A")) as server:
        out = run(evaluation(data, preset, limit=1), settings(server), tmp_path / "out")
    after = ["picture"] * (preset == "v2p")  # there the marked frame stands behind the question
    assert sent(server) == ["picture"] * pictures + [words] + after
    assert [message["role"] for message in server.requests[0].messages] == ["user"]
    assert server.requests[0].body["max_tokens"] == preset_of(preset).max_tokens
    assert rows_in(out)[0].score == 1.0
    assert json.loads((out / "manifest.json").read_text())["settings"]["preset"]["prompt"]["user"]


def test_published_words_are_for_their_own_mode_and_for_options(data: Path, tmp_path: Path) -> None:
    ours = preset_of("v2p", mode="reasoning")
    assert ours.prompt is None and ours.frames == 64
    with pytest.raises(SeekerError, match="which is mode direct"):
        preset_of("default", prompt=preset_of("v2p").prompt)
    words = ["run", "videosiah", "--model", NAME, "--judge", NAME, "--preset", "v2p", "--dry-run", "--json"]
    done = CliRunner().invoke(app, [*words, "--data", str(open_rows(tmp_path / "open", data, 1))])
    assert done.exit_code == 0, done.output
    system, user = json.loads(done.stdout)["prompt"]["turns"]
    assert system["text"].endswith("Give only the answer, no other words.")
    assert user["text"].endswith("Question: What is in case 0?")


def test_no_question_breaks_the_words_around_it(data: Path, tmp_path: Path) -> None:
    row = row_of(0) | {"question": row_of(0)["question"].replace("marked", "in {options} <image>")}
    with ChatServer(lambda request: Said("A")) as server:
        run(evaluation(copy_of(data, tmp_path / "data", [row]), "v2p"), settings(server), tmp_path / "out")
    assert sent(server)[-2].startswith("What is in {options} &lt;image> in case 0?\nA: a white square\n")


def test_paper_stamps_count_frames_and_true_ones_tell_the_time(clip_path: Path) -> None:
    def stamps(preset: Preset) -> list[str]:
        blocks = preset.rollout().overview(Video(clip_path)).blocks
        return [block.text for block in blocks if isinstance(block, Text)]

    changes = {"frames": 4}  # of a clip of 20 s: the limit bites
    assert stamps(preset_of("default", **changes)) == [f"<{5 * n}.0 seconds>" for n in range(4)]
    assert stamps(preset_of("videoseeker", **changes)) == [f"<{n}.0 seconds>" for n in range(4)]


def test_frames_by_number_are_those_that_qwen_vl_utils_takes() -> None:
    lines = (shared("extraction-examples") / "examples.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == "frames"]
    assert rows
    for row in rows:
        video, told = row["response"], row["expected"]["qwen_vl_utils_fps1_max"]
        wanted = qwen_count(video["total_frames"], video["fps"], 1.0, video["num_frames"])
        found = linspace(video["total_frames"], wanted)
        first, last = told["indices"][:6], told["indices"][-3:]
        assert (wanted, found[:6], found[-3:]) == (told["nframes"], first, last), row["id"]


@pytest.mark.parametrize(
    ("count", "video_fps", "most", "wanted"),
    [(3000, 30, 256, 100), (3030, 30, 256, 100), (9000, 30, 256, 256), (9000, 30, 255, 254), (30, 30, 256, 4),
     (3, 30, 256, 2), (1, 30, 256, 0), (50, 0.0, 64, 50)],
)  # fmt: skip
def test_how_many_frames_qwen_vl_utils_takes(count: int, video_fps: float, most: int, wanted: int) -> None:
    assert qwen_count(count, video_fps, 1.0, most) == wanted
    found = linspace(count, wanted)
    assert found[0] == 0 and len(found) == max(1, wanted) and found == sorted(set(found))
    assert wanted < 2 or found[-1] == count - 1


def test_presets_named_after_others_show_the_frames_that_those_show(clip_path: Path) -> None:
    video = Video(clip_path)  # 200 frames in 20 s
    for name, numbers in (("videoseeker", linspace(200, 20)), ("v2p", linspace(200, 64))):
        blocks = preset_of(name).rollout().overview(video).blocks
        times = [block.time_s for block in blocks if not isinstance(block, Text)]
        assert times == [number / 10 for number in numbers] and video.numbers(times) == numbers


def test_a_crop_under_paper_stamps_counts_from_its_start(clip_path: Path) -> None:
    texts = []
    for name in ("default", "videoseeker"):
        tools = preset_of(name).toolset()
        tools.reset(Video(clip_path))
        texts.append([part["text"] for part in tools.crop_video("video", 4, 6) if part["type"] == "text"])
    assert texts == [
        ["<4.0 seconds>", "<4.5 seconds>", "<5.0 seconds>", "<5.5 seconds>"],
        ["<4.0 seconds>", "<5.0 seconds>", "<6.0 seconds>", "<7.0 seconds>"],
    ]


def test_what_is_said_stands_behind_the_frames_up_to_its_middle(clip_path: Path) -> None:
    spoken = (Subtitle(4.0, 8.0, "<answer>B</answer>"), Subtitle(14.5, 14.9, "late"), Subtitle(90.0, 91.0, "never"))
    shown = preset_of("default", frames=4).rollout(spoken).overview(Video(clip_path))
    told = [block.text if isinstance(block, Text) else "frame" for block in shown.blocks]
    assert told[2:6] == ["<5.0 seconds>", "frame", 'Spoken: "&lt;answer>B&lt;/answer>"', "<10.0 seconds>"]
    assert told[6:] == ["frame", 'Spoken: "late"', "<15.0 seconds>", "frame"]


ITEM = Item(id="q", video="v", question="Which?", options=("one", "two", "three"), answer="B", cluster="v")


def test_reordered_options_keep_their_right_one() -> None:
    orders = {shuffled(ITEM, seed).options for seed in range(20)}
    assert len(orders) > 3 and shuffled(ITEM, 1) == shuffled(ITEM, 1)
    for item in [*(shuffled(ITEM, seed) for seed in range(20)), *turned(ITEM)]:
        assert item.options["ABC".index(item.answer)] == "two"
    assert [item.answer for item in turned(ITEM)] == ["B", "A", "C"]
    assert [item.id for item in turned(ITEM)] == ["q", "q~1", "q~2"]
    open_item = ITEM.model_copy(update={"options": (), "answer": "two"})
    assert turned(open_item) == [open_item] and shuffled(open_item, 1) == open_item
    goldless = ITEM.model_copy(update={"answer": ""})
    assert {item.answer for item in turned(goldless)} == {""}


@pytest.mark.parametrize(
    ("script", "score"), [(knowing, 1.0), (lambda request: Said("<answer>A</answer>"), 0.0)], ids=["knows", "says A"]
)
def test_circular_wants_every_turn_right(
    data: Path, tmp_path: Path, script: Callable[[Request], Answer], score: float
) -> None:
    with ChatServer(script) as server:
        out = run(evaluation(data, limit=2, circular=True), settings(server), tmp_path / "out")
    rows = rows_in(out)
    assert [row.score for row in rows] == [score] * 2
    assert [[turn.gold for turn in row.turns] for row in rows] == [["A", "D", "C", "B"], ["B", "A", "D", "C"]]
    assert [turn.score for turn in rows[1].turns] == ([1.0] * 4 if score else [0.0, 1.0, 0.0, 0.0])
    assert sum(row.usage["calls"] for row in rows) == len(server.requests)
    done = CliRunner().invoke(app, ["view", str(out)])
    assert done.exit_code == 0, done.output
    ways = re.findall(r'<section class="ways".*?</section>', (out / "page.html").read_text(), flags=re.DOTALL)
    assert len(ways) == 2 and [way.count("<tr>") for way in ways] == [4, 4]
    shown = "number 1." if score else "number 2."  # the conversation is of the first turn that went wrong
    assert shown in ways[0] and ways[0].count(f"<b>A</b> <bdi>{RIGHT}</bdi>") == 1


@pytest.mark.parametrize("mode", ["tool", "direct", "reasoning"])
def test_our_own_players_need_no_key_and_no_network(
    mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = tmp_path_factory.getbasetemp() / "world"  # made once for all modes
    scores = {}
    for player in ("expert", "random", "blind"):
        words = ["run", "world:clips=1", "--model", f"seeker/{player}", "--mode", mode, "--data", str(world), "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        facts = json.loads(done.stdout)
        assert facts["states"]["answered"] == facts["n"] == 6
        scores[player] = facts["headline"]
    assert scores["expert"] == 100.0 and max(scores["random"], scores["blind"]) < 100.0


def test_a_dry_run_shows_one_prompt_and_asks_nobody(data: Path) -> None:
    words = ["run", "v2p_bench", "--model", NAME, "--data", str(data), "--dry-run", "--json", "--price", "1,10"]
    done = CliRunner().invoke(app, [*words, "--base-url", "http://127.0.0.1:9/v1"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["prompt"]["frames"] == 12 and facts["items"] == 8
    assert "<3.0 seconds>\n[frame 3.0 s]" in facts["prompt"]["turns"][1]["text"]
    assert facts["cost"] == pytest.approx((facts["input_tokens"] + 10 * facts["output_tokens"]) / 1e6, abs=1e-4)
    assert not Path("runs").exists()


STAND_IN = """
import av

class DECORDError(Exception):
    pass

class logging:
    QUIET = -8
    set_level = staticmethod(lambda level: None)

class _Batch(list):
    def asnumpy(self):
        return self

class VideoReader:
    def __init__(self, path, num_threads):
        if path.endswith("hard.mp4"):
            raise DECORDError("[19:20:21] /build/reader.cc:151: Check failed: st_nb >= 0\\nStack trace")
        with av.open(path) as container:
            self.negatives = [255 - frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    def __len__(self):
        return len(self.negatives)
    def get_batch(self, numbers):
        return _Batch(self.negatives[number] for number in numbers)
"""
"""A library under decord's name that gives negatives, so that nobody's pictures are taken for another's."""


def test_another_decoder_shows_its_own_pictures_and_every_file_names_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (info := tmp_path / "site" / "decord-9.9.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: decord\nVersion: 9.9\n")
    (info / "top_level.txt").write_text("decord\n")
    (tmp_path / "site" / "decord.py").write_text(STAND_IN)
    monkeypatch.setitem(sys.modules, "decord", None)
    del sys.modules["decord"]  # now it is found there, and forgotten after the test
    monkeypatch.syspath_prepend(tmp_path / "site")
    folder = copy_of(data, tmp_path / "data", [row_of(0), row_of(1, "hard.mp4")])
    (folder / "videos").unlink()
    (folder / "videos").mkdir()
    for name in ("clip.mp4", "hard.mp4"):
        (folder / "videos" / name).write_bytes((data / "videos" / "clip.mp4").read_bytes())
    words = ["run", "v2p-bench", "--model", "seeker/random", "--mode", "direct", "--data", str(folder)]
    looked = {}
    for decoder in ("pyav", "decord"):
        done = CliRunner().invoke(app, [*words, "--decoder", decoder, "--out", decoder])
        assert done.exit_code == 0, done.output
        looked[decoder] = [json.loads(line) for line in Path(decoder, "frames.jsonl").read_text().splitlines()]
    (ours, _), (theirs, refused) = looked.values()
    assert theirs["video"] == ours["video"] | {"decoder": "decord 9.9"}
    for key, same in (("times_s", True), ("indices", True), ("sizes_wh", True), ("sha256", False)):
        assert (theirs["looks"][0][key] == ours["looks"][0][key]) is same, key
    manifest = json.loads(Path("decord", "manifest.json").read_text())
    assert (manifest["decoder"], manifest["settings"]["preset"]["decoder"]) == ("decord 9.9", "decord")
    row = rows_in(Path("decord"))[1]
    assert row.state is State.ERROR and refused["looks"] == []
    assert row.error.endswith("hard.mp4: decord cannot read it (Check failed: st_nb >= 0)")
    done = CliRunner().invoke(app, ["view", "decord"])
    assert done.exit_code == 0, done.output
    page = Path("decord", "page.html").read_text()
    assert page.count("data:image/jpeg") >= 12 and "not_reproduced" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["world", "--model", NAME, "--decoder", "opencv"], "decoder: Input should be 'pyav', 'decord' or"),
        (["v2p_bnch", "--model", NAME], "did you mean 'v2p_bench'"),
        (["world", "--model", NAME, "--preset", "v3p"], "did you mean 'v2p'"),
        (["world", "--model", NAME, "--tools", "zoom"], "no tool 'zoom'"),
        (["world", "--model", NAME, "--mode", "fast"], "mode"),
        (["world", "--model", "any"], "a model is <provider>/<name>"),
        (["world", "--model", NAME, "--blind", "--one-frame"], "one baseline at a time"),
        (["v2p_bench", "--model", "seeker/blind", "--data", "nowhere"], "seekereval data v2p_bench"),
        (["world:clips=1", "--model", "seeker/oracle", "--data", "w"], "no 'oracle' in policies"),
    ],
)
def test_a_users_mistake_is_one_line(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["run", *words])
    assert done.exit_code == 2
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_split_without_answers_claims_nothing_and_leaves_the_leaderboards_file(tmp_path: Path) -> None:
    rows = benchmark("longvideobench:split=test").fixtures[:3]
    (folder := tmp_path / "lvb" / "videos").mkdir(parents=True)
    for n in range(2):  # the third video is not there
        make_clip(folder / f"made_{n}.mp4", seconds=3)
    (folder.parent / "lvb_test_wo_gt.json").write_text(json.dumps(rows))
    words = ["run", "longvideobench:split=test", "--model", "seeker/random", "--mode", "direct"]
    words += ["--data", str(folder.parent)]
    done = CliRunner().invoke(app, [*words, "--out", "test", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["n"], facts["headline"], facts["states"]["answered"], facts["states"]["error"]) == (3, None, 2, 1)
    sent = json.loads(Path("test", "submission.json").read_text())
    assert sent == {row.item.id: row.answer for row in rows_in(Path("test"))}
    assert sorted(map(len, sent.values())) == [0, 1, 1], "no answer stays no answer"
    assert "for its leaderboard: test/submission.json" in done.stderr
    for told in (["report", "test"], ["report", "test", "--format", "csv"]):
        done = CliRunner().invoke(app, told)
        assert done.exit_code == 0 and "right answers not published" in done.stdout
    done = CliRunner().invoke(app, ["view", "test"])
    assert done.exit_code == 0 and "right answers not published" in Path("test", "page.html").read_text()
    assert CliRunner().invoke(app, [*words, "--out", "turned", "--shuffle-options", "1"]).exit_code == 0
    assert not Path("turned", "submission.json").exists(), "its letters would be those of another order"
    done = CliRunner().invoke(app, ["diff", "test", "turned"])
    assert done.exit_code == 2 and "nothing can be compared" in done.stderr


@pytest.mark.parametrize("command", [["run", "v2p-bench", "--decoder", "decord"], ["view"]])
def test_a_decoder_that_is_not_there_is_one_line_before_anything_is_asked(
    command: list[str], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "v2p-bench", "--model", "seeker/random", "--data", str(data), "--limit", "1", "--out", "seen"]
    assert CliRunner().invoke(app, words).exit_code == 0
    monkeypatch.setitem(sys.modules, "decord", None)
    if command == ["view"]:
        manifest = Path("seen", "manifest.json")
        manifest.write_text(manifest.read_text().replace('"decoder": "pyav"', '"decoder": "decord"'))
        done = CliRunner().invoke(app, ["view", "seen"])
    else:
        done = CliRunner().invoke(app, [*command, "--model", NAME, "--data", str(data), "--out", "new"])
    assert (done.exit_code, done.stderr) == (2, "decoder decord needs: pip install decord\n")
    assert not Path("new").exists() and not Path("seen", "page.html").exists()


def test_inspect_runs_a_benchmark_by_its_name(data: Path, tmp_path: Path) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log

    installed = tmp_path / "site" / "videoseeker_toolkit-0.1.0.dist-info"  # as an editable install writes it
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: videoseeker-toolkit\nVersion: 0.1.0\n")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["inspect_ai"]
    lines = ["[inspect_ai]", *(f"{name} = {place}" for name, place in points.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "PYTHONPATH": f"{installed.parent}{os.pathsep}{ROOT}", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "inspect_ai", "eval", "seekereval/v2p_bench", "--model", "seeker/blind"]
    command += ["-T", f"data={data}", "-T", "mode=direct", "--log-dir", str(tmp_path / "logs"), "--display", "none"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = list_eval_logs(str(tmp_path / "logs"))
    log = read_eval_log(found, header_only=True)
    assert log.status == "success" and log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 1.0  # the longest option is the right one here


HALF = Said('{"reason": "near", "score": 0.5}')


def open_rows(folder: Path, data: Path, count: int) -> Path:
    """A folder in VideoSIAH's layout: open questions, about which a judge is asked."""
    folder.mkdir()
    (folder / "videos").symlink_to(data / "videos")
    rows = [{"question": f"What is in case {n}?", "answer": f"cup {n}", "video_path": "clip.mp4"} for n in range(count)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def about_judge(request: Request) -> bool:
    return request.body["model"] == "judge"


def once_more(server: ChatServer, folder: Path, out: Path) -> tuple[list[str], int, int]:
    """One more run of the same command in a process of its own: all states; how often model and judge were asked."""
    seekerdata.judge._CACHE.clear()
    judge = ModelSettings(model="openai-api/local/judge", base_url=server.url, retries=0)
    how = preset_of("default", mode="direct", frames=2)
    before = len(server.requests)
    run(Evaluation(benchmark="videosiah", data=folder, preset=how, judge=judge), settings(server), out)
    judged = sum(map(about_judge, server.requests[before:]))
    return [row.state.value for row in rows_in(out)], len(server.requests) - before - judged, judged


def test_a_judge_that_failed_is_asked_again_and_nobody_else(data: Path, tmp_path: Path) -> None:
    failing = {1, 2}

    def script(request: Request) -> Answer:
        if not about_judge(request):
            return Said(f"<answer>a mug, number {case(request)}</answer>")
        return Said("I would rather not say.") if case(request) in failing else HALF

    folder, out = open_rows(tmp_path / "open", data, 4), tmp_path / "out"
    with ChatServer(script) as server:
        failed = ["answered", "judge_failed", "judge_failed", "answered"]
        assert once_more(server, folder, out) == (failed, 4, 6)  # what cannot be read is asked for once more at once
        failing.remove(1)
        assert once_more(server, folder, out) == (["answered", "answered", "judge_failed", "answered"], 0, 3)
        failing.clear()
        assert once_more(server, folder, out) == (["answered"] * 4, 0, 1)
        assert once_more(server, folder, out) == (["answered"] * 4, 0, 0)
    rows = rows_in(out)
    assert [(row.score, row.frames, row.usage["calls"]) for row in rows] == [(0.5, 2, 1)] * 4
    assert [row.answer for row in rows] == [f"a mug, number {n}" for n in range(4)]


def test_a_wrong_key_of_the_judge_ends_in_one_line_and_loses_no_reply(data: Path, tmp_path: Path) -> None:
    wrong = True

    def script(request: Request) -> Answer:
        if about_judge(request):
            return Refused(401, "Incorrect API key") if wrong else HALF
        return Said("<answer>a mug</answer>")

    folder, out = open_rows(tmp_path / "open", data, 3), tmp_path / "out"
    with ChatServer(script) as server:
        with pytest.raises(SeekerError, match=r"^openai-api/local/judge: .*the key is wrong or missing"):
            once_more(server, folder, out)
        model = sum(not about_judge(request) for request in server.requests)
        assert model == 3 and len(server.requests) - model <= 3
        wrong = False
        assert once_more(server, folder, out) == (["answered"] * 3, 0, 3)
