"""RolloutLog: any rollout can be written and shown; pictures are made again from the video, rewards stand apart."""

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from exhibits import listed

from seekerdata.errors import ItemError
from seekerdata.observation import PromptFrame
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.video import Video
from seekertrain.rollout_log import Rolled, RolloutLog, looker

Make = Callable[..., Rolled]


class Scripted(Policy):
    """Looks at the mark, crops, writes a call that cannot be read, answers."""

    letter: str = "B"

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        view = ToolCall(id="call_1", name="view_visual_prompt", arguments={"frame_path": "prompt_1"})
        span = {"video_path": "video", "start_time": 8.0, "end_time": 10.0}
        said = [
            Reply("<think>I look.</think>", (view,)),
            Reply("<think>Closer.</think>", (ToolCall(id="call_2", name="crop_video", arguments=span),)),
            Reply("<think>Again.</think>\n<tool_call>\n{not JSON\n</tool_call>"),
            Reply(f"<think>It is white.</think>\n<answer>{self.letter}</answer>"),
        ]
        return said[conversation.rounds]


@pytest.fixture
def rolled(sample: Sample, video: Video, prompts: list[PromptFrame]) -> Make:
    """Plays the sample for real, with these numbers."""

    def make(group: int = 0, letter: str = "B", **changes: Any) -> Rolled:
        played = asyncio.run(rollout(Scripted(letter=letter), sample, video, prompts, RolloutSettings()))
        right = float(letter == "B")
        facts = {"rewards": {"accuracy": right, "format": 1.0}, "reward": 0.8 * right + 0.15, "advantage": right - 0.5}
        return Rolled(sample, played, **{**facts, "group": group, "prompts": prompts, **changes})

    return make


class Page(HTMLParser):
    """Words, pictures and items of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words, self.images = "", list[str]()
        text = path.read_text("utf-8")
        self.items = [item["of"] for item in listed(text)] if 'id="index"' in text else []
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.words += data


def lines(page: Path) -> list[dict[str, Any]]:
    def none(word: str) -> Any:
        raise AssertionError(f"{word} is not JSON")

    text = page.with_suffix(".jsonl").read_text("utf-8")
    return [json.loads(line, parse_constant=none) for line in text.splitlines()]


def log_of(tmp_path: Path, clip_path: Path, **changes: Any) -> RolloutLog:
    return RolloutLog(tmp_path / "run", clip_path.parent, **changes)


def test_a_step_leaves_lines_and_a_page(tmp_path: Path, clip_path: Path, rolled: Make) -> None:
    one, other = rolled(), rolled(letter="A")
    page = log_of(tmp_path, clip_path).record(10, [one, other])
    assert page == tmp_path / "run" / "rollouts" / "train-000010.html"
    first, second = lines(page)
    assert first["rewards"] == {"accuracy": 1.0, "format": 1.0} and first["advantage"] == 0.5
    assert (first["reward"], second["reward"]) == (pytest.approx(0.95), 0.15)
    assert [call["name"] for call in first["calls"][:2]] == ["view_visual_prompt", "crop_video"]
    assert (
        first["calls"][2]["error"] and first["stop"] == "answered" and (second["answer"], second["gold"]) == ("A", "B")
    )
    assert Trajectory.model_validate_json(json.dumps(first["trajectory"])) == one.trajectory
    read = Page(page)
    for words in (
        "run, rollouts of step 10", "reward 0.95 (accuracy 1, format 1), advantage +0.5", "advantage -0.5",
        "above its group", "below its group", "unreadable call", "I look.", "calls per rollout",
    ):  # fmt: skip
        assert words in read.words, words
    assert [item["answer"] for item in read.items] == ["right", "wrong"]
    shown = len(one.trajectory.images) + 1  # the marked frame on top
    assert len(read.images) == 2 * shown and all(src.startswith("data:image/jpeg;base64,") for src in read.images)


def test_the_video_is_decoded_once_for_a_group(
    tmp_path: Path, clip_path: Path, rolled: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [rolled() for _ in range(4)]
    decoded: list[int] = []
    frames = Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, *a, **k: decoded.append(1) or frames(self, *a, **k))
    log_of(tmp_path, clip_path).record(10, group)
    limits = {image.max_pixels for image in group[0].trajectory.images if image.source == "video"}
    assert len(decoded) == len(limits)


def test_whatever_a_policy_says_can_be_written(tmp_path: Path, clip_path: Path, rolled: Make, sample: Sample) -> None:
    odd = ToolCall(
        id="call_1", name="", arguments={"half a character \ud800": ["\udfff", math.nan]}, error="odd \ud83d"
    )
    turns = (Turn(role="assistant", tool_calls=(odd,)), Turn(role="assistant", content=(Text(text="<think>\ud800"),)))
    said = Trajectory(sample_id="q1", policy="p", turns=turns, stop=StopReason.MAX_ROUNDS)
    silent = Trajectory(sample_id="q1", policy="p", turns=(), stop=StopReason.NO_ANSWER)
    rollouts = [
        Rolled(sample, said, {"accuracy": None, "format": math.nan}, None, 0.0, 0),
        Rolled(sample, silent, {}, math.inf, None, 1),
        rolled(group=2, reward=None, advantage=None, rewards={"accuracy": 0.5, "parsimony": -0.0}),
    ]
    page = log_of(tmp_path, clip_path).record(10, rollouts)
    assert page
    first, second, third = lines(page)
    assert first["rewards"] == {"accuracy": None, "format": None} and first["reward"] is None
    assert first["calls"][0]["arguments"] == {"half a character ?": ["?", None]}
    assert second["reward"] is None and second["trajectory"]["turns"] == []
    read = Page(page)
    assert [item["answer"] for item in read.items] == ["no answer", "no answer", "wrong"]
    assert read.words.count("it has no reward") >= 3 and third["rewards"]["accuracy"] == 0.5
    assert "reward none (no parts), advantage none" in read.words


def test_what_is_gone_leaves_words_in_its_place(tmp_path: Path, clip_path: Path, rolled: Make, sample: Sample) -> None:
    lost = sample.model_copy(update={"video": sample.video.model_copy(update={"path": "gone.mp4"})})
    page = log_of(tmp_path, clip_path).record(10, [replace(rolled(), sample=lost)])
    assert page and "missing:" in Page(page).words and len(lines(page)) == 1
    page = log_of(tmp_path, clip_path).record(20, [rolled(prompts=())])
    assert page and "missing: prompt_1 was not kept" in Page(page).words and len(Page(page).images) > 5


def test_a_fault_is_found_once_and_said_each_time(clip_path: Path, rolled: Make) -> None:
    images = rolled().trajectory.images
    changed = [image.model_copy(update={"sha256": "0" * 16}) for image in images]
    look = looker(changed, Video(clip_path), {"prompt_1": rolled().prompts[0]})
    said = []
    for image in changed[:2]:
        with pytest.raises(ItemError, match="pixels") as caught:
            look(image)
        said.append(caught.value)
    assert said[0] is said[1]


def test_records_are_few_and_short(tmp_path: Path, clip_path: Path, rolled: Make) -> None:
    log = log_of(tmp_path, clip_path, every=5, rollouts=3)
    assert [step for step in range(1, 16) if log.due(step)] == [1, 5, 10, 15]
    assert not log_of(tmp_path, clip_path, every=0).due(1) and log.record(4, [rolled()]) is None
    page = log.record(5, [rolled(group=n % 2) for n in range(4)])
    assert page and [line["group"] for line in lines(page)] == [0, 0, 1]
    assert "the first 3" in Page(page).words
    assert sorted(path.name for path in page.parent.iterdir()) == ["train-000005.html", "train-000005.jsonl"]
    empty = log.record(10, [])
    assert empty and "There are no items to show." in Page(empty).words
