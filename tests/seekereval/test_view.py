"""view: a page that shows every item as the model met it, made again from the data and checked, with its filters."""

import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from clips import make_clip
from exhibits import listed
from typer.testing import CliRunner

from seekerdata.errors import ItemError, SeekerError
from seekerdata.observation import Observation, PromptFrame, look_at_prompt, look_at_video
from seekerdata.sampling import uniform
from seekerdata.trajectory import StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.video import Video
from seekereval.cli import app
from seekereval.item import Call, Graded, Item, State
from seekereval.results import Results, write_results
from seekereval.scoring import grade
from seekereval.view import exhibit, outcome, read_trajectories

EVIL = "</script><script>alert(1)</script>"


def item(number: int = 1, **fields: object) -> Item:
    told = {"video": "videos/v.mp4", "question": f"What is {number} {EVIL}?", "cluster": "v", "answer": "B"}
    groups = {"duration": "short" if number % 2 else "long", "sub_category": f"kind {number}"}
    rest = {"marked_frames": ("frames/m.png",), "evidence_s": ((2.0, 3.0),), "groups": groups}
    return Item(**{"id": f"q{number}", "options": ("red", "blue"), **told, **rest, **fields})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark's folder: a clip of 6 s and a marked frame."""
    folder = tmp_path_factory.mktemp("data")
    make_clip(folder / "videos" / "v.mp4", seconds=6)
    (folder / "frames").mkdir()
    PIL.Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / "frames" / "m.png")
    return folder


def played(data: Path, item_id: str = "q1") -> Trajectory:
    """A conversation with two looks, recorded as a run records it."""
    overview = look_at_video(Video(data / "videos/v.mp4").clip(), uniform(3), None)
    crop = look_at_video(Video(data / "videos/v.mp4").clip(2, 4), uniform(2), None)
    with PIL.Image.open(data / "frames/m.png") as picture:
        mark = look_at_prompt("prompt_1", PromptFrame(picture.convert("RGB")), None)
    crops = ToolCall(id="2", name="crop_video", arguments={"video_path": "video", "start_time": 2, "end_time": 4})
    turns = (
        Turn(role="user", content=(*overview.blocks, Text(text="What is it?"))),
        *_looked(ToolCall(id="1", name="view_visual_prompt", arguments={"frame_path": "prompt_1"}), mark),
        *_looked(crops, crop),
        Turn(role="assistant", content=(Text(text="<think>Blue.</think><answer>B</answer>"),)),
    )
    return Trajectory(sample_id=item_id, policy="m", turns=turns, stop=StopReason.ANSWERED, answer="B")


def _looked(call: ToolCall, seen: Observation) -> tuple[Turn, Turn]:
    return Turn(role="assistant", tool_calls=(call,)), Turn(role="tool", tool_call_id=call.id, content=seen.blocks)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Results:
    rows = [
        grade(item(1), "<think>Blue.</think><answer>B</answer>"),
        grade(item(2), "A", calls=(Call(name="crop_video", arguments={"start_time": 1}), Call(name="x", error="no x"))),
        grade(item(3), "", error="decode: broken file"),
        grade(item(4), "I cannot tell."),
    ]
    manifest = {"settings": {"benchmark": "v2p_bench", "data": str(data)}, "model": {"asked": "m"}}
    results = write_results(tmp_path / "run", manifest, rows)
    (results.path / "trajectories.jsonl").write_text(f"{played(data).model_dump_json()}\n")
    return results


def page_of(*words: object) -> str:
    done = CliRunner().invoke(app, ["view", *map(str, words)])
    assert done.exit_code == 0, done.output
    return Path(done.stdout.removeprefix("page: ").strip()).read_text()


def articles(page: str) -> list[str]:
    return re.findall(r"<article.*?</article>", page, flags=re.DOTALL)


def test_the_page_shows_frames_rounds_reply_rule_and_gold(run: Results) -> None:
    page = page_of(run.path)
    first, second, third, fourth = articles(page)
    assert first.count("data:image/jpeg;base64,") == 3 + 1 + 2 + 1, "overview, mark, crop, and the marked frame on top"
    assert "crop_video" in first and "start_time=2" in first and "read by answer_tag" in first
    assert "no picture" not in first and "not_reproduced" not in first
    assert 'class="gold chosen"' in first and "event" in first
    assert "What this call showed is not recorded." in second and "no x" in second
    assert "decode: broken file" in third and "I cannot tell." in fourth
    assert EVIL not in page and "25.0 %" in page


def test_items_can_be_chosen_by_state_and_group(run: Results) -> None:
    page = page_of(run.path)
    of = [item["of"] for item in listed(page)]
    assert [item["answer"] for item in of] == ["right", "wrong", "error", "refused"]
    assert [item["group0"] for item in of] == ["short", "long", "short", "long"] and of[2]["group1"] == "kind 3"
    assert [item["calls"] for item in of] == ["2", "2", "0", "0"]
    assert '<bdi>duration</bdi><select name="group0"' in page and "<bdi>sub category</bdi>" in page


def test_without_the_data_the_page_has_the_words(run: Results, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    page = page_of(run.path, "--data", tmp_path / "empty", "--html", tmp_path / "p.html", "--limit", 2)
    first, _ = articles(page)
    assert "data:image" not in first and "missing" in first and "read by answer_tag" in first
    assert "the first 2" in page and "What is 3" not in page


def test_a_page_of_foreign_replies_has_no_empty_frames(run: Results) -> None:
    (run.path / "trajectories.jsonl").unlink()
    words = write_results(run.path, {"settings": {"benchmark": "v2p_bench"}}, run.graded)
    page = page_of(words.path)
    assert "no picture" not in page and "No frame is marked" not in page and "What is 4" in page


def test_another_file_of_the_same_name_is_said_and_not_shown(run: Results, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_clip(other / "videos" / "v.mp4", seconds=7, size=(96, 48))
    assert "not_reproduced" in articles(page_of(run.path, "--data", other))[0]


@pytest.mark.parametrize("field", ["video", "marked_frames"])
def test_no_path_leaves_the_data_folder(field: str, data: Path) -> None:
    outside: object = "../outside.png" if field == "video" else ("../outside.png",)
    PIL.Image.new("RGB", (8, 8)).save(data.parent / "outside.png")
    shown = exhibit(grade(item(1, **{field: outside}), "B"), played(data), data)
    (image,) = [i for i in played(data).images if i.source == ("video" if field == "video" else "prompt_1")][:1]
    assert shown.picture is not None
    with pytest.raises(ItemError, match="leaves the data folder"):
        shown.picture(image)


def test_half_a_score_is_partly_right() -> None:
    half = Graded(item=item(), state=State.ANSWERED, score=0.5)
    failed = Graded(item=item(), state=State.JUDGE_FAILED)
    assert (outcome(half, True), outcome(failed, True)) == ("partly right", "judge failed")
    assert outcome(half, False) == "answered"


def test_a_broken_conversation_is_one_line(run: Results) -> None:
    (run.path / "trajectories.jsonl").write_text('{"sample_id": 1}\n')
    with pytest.raises(SeekerError, match=r"trajectories\.jsonl:1: not a conversation") as error:
        read_trajectories(run.path)
    assert "\n" not in str(error.value)
    assert CliRunner().invoke(app, ["view", str(run.path)]).exit_code == 2
