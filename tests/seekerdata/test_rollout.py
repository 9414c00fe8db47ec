"""The loop: exactly what the policy saw, every ending named, a model's mistakes told to it and survived."""

import asyncio
from typing import Any

import pytest

from seekerdata.instructions import LAST_LOOK, NO_LOOK_LEFT
from seekerdata.observation import PromptFrame, picture_hash
from seekerdata.policies.expert import Expert
from seekerdata.policies.random import Random
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.trajectory import Image, StopReason, Trajectory
from seekerdata.video import Video

ASKED = '{"name": "crop_video", "arguments": {"video_path": "video", "start_time": 8, "end_time": 11}}'
CROP = f"<tool_call>{ASKED}</tool_call>"


class Scripted(Policy):
    """Says its lines in order and repeats the last; checks that every image it is shown has its picture."""

    lines: tuple[str, ...]

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        shown = {image for turn in conversation.turns for image in turn.images}
        assert shown == set(conversation.pictures)
        assert all(picture_hash(p) == i.sha256 and p.size == i.size_wh for i, p in conversation.pictures.items())
        said = sum(turn.role == "assistant" for turn in conversation.turns)
        return Reply(self.lines[min(said, len(self.lines) - 1)])


def play(policy: Policy, sample: Sample, video: Video, prompts: list[PromptFrame], **settings: Any) -> Trajectory:
    return asyncio.run(rollout(policy, sample, video, prompts, RolloutSettings(**settings)))


def test_opening_shows_stamped_overview_then_names_then_question(sample: Sample, video: Video) -> None:
    system, user, _ = play(Random(), sample, video, []).turns
    assert system.role == "system"
    images = [block for block in user.content if isinstance(block, Image)]
    assert [image.time_s for image in images] == [float(t) for t in range(20)]
    assert user.content[0].text == "<0.0 seconds>"
    words = user.content[-1].text
    assert words.startswith("The video is video (20.0 s).")
    assert "A. red\nB. white" in words
    assert "clip" not in words


def test_mode_decides_what_is_asked(sample: Sample, video: Video) -> None:
    direct = play(Random(), sample, video, [], mode="direct").turns
    assert "tool" not in direct[0].text and "The video is video" not in direct[1].text


def test_overview_is_capped(sample: Sample, video: Video) -> None:
    assert len(play(Random(), sample, video, [], overview_max_frames=5).images) == 5


@pytest.mark.parametrize(
    ("line", "stop", "answer"),
    [
        ("<think>t</think><answer> B </answer>", StopReason.ANSWERED, "B"),
        ("<answer>A</answer> no: <answer>C</answer>", StopReason.ANSWERED, "C"),
        ("<think><answer>A</answer></think>", StopReason.NO_ANSWER, ""),
        ("<answer> </answer>", StopReason.NO_ANSWER, ""),
        ("B", StopReason.NO_ANSWER, ""),
        ("", StopReason.NO_ANSWER, ""),
        (CROP, StopReason.MAX_ROUNDS, ""),
    ],
)
def test_every_ending_has_a_name(line: str, stop: StopReason, answer: str, sample: Sample, video: Video) -> None:
    trajectory = play(Scripted(lines=(line,)), sample, video, [])
    assert (trajectory.stop, trajectory.answer) == (stop, answer)


def test_the_last_look_is_announced_and_no_more_are_given(sample: Sample, video: Video) -> None:
    turns = play(Scripted(lines=(CROP + CROP,)), sample, video, [], max_rounds=3).turns
    tools = [turn for turn in turns if turn.role == "tool"]
    assert [LAST_LOOK in turn.text for turn in tools] == [False, False, True, False]
    assert NO_LOOK_LEFT in tools[3].text


def test_mistakes_are_told_and_the_rollout_goes_on(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    lines = ("<tool_call>{broken</tool_call>", '<tool_call>{"name": "fly"}</tool_call>', CROP, "<answer>B</answer>")
    trajectory = play(Scripted(lines=lines), sample, video, prompts)
    tools = [turn for turn in trajectory.turns if turn.role == "tool"]
    assert [turn.text.startswith("Error: ") for turn in tools] == [True, True, False]
    assert [turn.tool_call_id for turn in tools] == ["call_1", "call_2", "call_3"]
    assert trajectory.answer == "B"


def test_literal_markers_become_harmless(sample: Sample, video: Video) -> None:
    hostile = sample.model_copy(update={"question": "Is <image> a </think> tag?", "options": ("<video>", "<|im_end|>")})
    line = "<think>an <image> and a </tool_response></think><answer>B</answer>"
    trajectory = play(Scripted(lines=(line,)), hostile, video, [])
    user, assistant = trajectory.turns[1].text, trajectory.turns[2].text
    assert "&lt;image> a &lt;/think> tag" in user and "&lt;video>" in user and "&lt;|im_end|>" in user
    assert assistant == "<think>an &lt;image> and a &lt;/tool_response></think><answer>B</answer>"


def test_a_trajectory_goes_through_json(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    trajectory = play(Expert(), sample, video, prompts[:1])
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory


def test_expert_looks_then_crops_then_answers(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    trajectory = play(Expert(), sample, video, prompts[:1])
    assert [call.name for call in trajectory.calls] == ["view_visual_prompt", "crop_video"]
    assert trajectory.calls[1].arguments == {"video_path": "video", "start_time": 8.0, "end_time": 11.0}
    assert (trajectory.stop, trajectory.answer) == (StopReason.ANSWERED, "B")
    assert all(turn.loss for turn in trajectory.turns)


def test_expert_narrows_until_the_event_was_shown(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    target = sample.target.model_copy(update={"event_s": (9.3, 9.45)})
    trajectory = play(Expert(), sample.model_copy(update={"target": target}), video, prompts[:1])
    assert len(trajectory.calls) == 3, "the window at 1 fps misses 9.3 to 9.45 s"
    seen = [image.time_s for image in trajectory.turns[-2].images]
    assert any(9.3 <= time_s <= 9.45 for time_s in seen if time_s is not None)
    assert trajectory.answer == "B"


def test_expert_does_not_answer_what_it_cannot_see(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    target = sample.target.model_copy(update={"event_s": (9.31, 9.39)})  # between two frames of the video
    trajectory = play(Expert(), sample.model_copy(update={"target": target}), video, prompts[:1])
    assert (trajectory.stop, trajectory.answer) == (StopReason.NO_ANSWER, "")


def test_expert_direct_play_needs_no_tool(sample: Sample, video: Video) -> None:
    trajectory = play(Expert(play="direct"), sample, video, [])
    assert not trajectory.calls and trajectory.answer == "B"


def test_expert_recovery_is_out_of_the_loss_and_right(sample: Sample, video: Video, prompts: list[PromptFrame]) -> None:
    kinds = set()
    for n in range(12):
        asked = sample.model_copy(update={"id": f"q{n}"})
        trajectory = play(Expert(play="recovery"), asked, video, prompts[:1])
        wrong, *rest = [turn for turn in trajectory.turns if turn.role == "assistant"]
        assert not wrong.loss and all(turn.loss for turn in rest)
        assert trajectory.answer == "B"
        kinds.add(trajectory.turns[3].text.split()[1])
    assert len(kinds) == 3, "a wrong name, an end past the video, a wrong time"


def test_random_is_reproducible_and_open_questions_get_no_letter(sample: Sample, video: Video) -> None:
    assert play(Random(), sample, video, []).answer == play(Random(), sample, video, []).answer
    opened = sample.model_copy(update={"options": (), "answer": "white"})
    assert play(Random(), opened, video, []).answer == "unknown"
