"""The tools: what they show, what they refuse, and in which words."""

import inspect
import math

import pytest

from seekerdata.observation import PromptFrame, materialise
from seekerdata.tools import ToolSettings, VideoTools, call, tool_names, tool_schemas
from seekerdata.trajectory import Image, Text
from seekerdata.video import Video


@pytest.fixture
def tools(video: Video, prompts: list[PromptFrame]) -> VideoTools:
    tools = VideoTools()
    tools.reset(video, prompts)
    return tools


def crop(tools: VideoTools, start: object, end: object, name: object = "video") -> object:
    return call(tools, "crop_video", {"video_path": name, "start_time": start, "end_time": end})


def test_public_methods_are_exactly_the_tools() -> None:
    public = {name for name, _ in inspect.getmembers(VideoTools, inspect.isfunction) if not name.startswith("_")}
    assert public == {"reset", *tool_names(VideoTools)}
    assert tool_names(VideoTools) == ["crop_video", "view_visual_prompt"]


def test_schemas_have_the_names_the_field_knows() -> None:
    schemas = {s["function"]["name"]: s["function"]["parameters"] for s in tool_schemas()}
    assert list(schemas["view_visual_prompt"]["properties"]) == ["frame_path"]
    assert schemas["crop_video"]["required"] == ["video_path", "start_time", "end_time"]
    assert schemas["crop_video"]["properties"]["start_time"]["type"] == "number"


def test_crop_shows_true_times_before_each_frame(tools: VideoTools) -> None:
    observation = crop(tools, 3, 9)
    blocks = observation.blocks
    assert [b.text for b in blocks[::2] if isinstance(b, Text)] == [f"<{t}.0 seconds>" for t in range(3, 9)]
    assert [b.time_s for b in blocks[1::2] if isinstance(b, Image)] == [3, 4, 5, 6, 7, 8]
    levels = [round(float(p.resize((1, 1)).getpixel((0, 0))[0])) for p in observation.pictures]
    assert levels == sorted(levels), "the picture gets lighter every second"


@pytest.mark.parametrize(("start", "end", "count"), [(3, 3.5, 4), (0, 20, 20), (0, 4, 4), (2.0, 2.1, 1)])
def test_crop_frame_counts(tools: VideoTools, start: float, end: float, count: int) -> None:
    assert len(crop(tools, start, end).pictures) == count


def test_crop_is_capped(video: Video) -> None:
    tools = VideoTools(ToolSettings(crop_fps=10, crop_max_frames=8, max_pixels=1000))
    tools.reset(video)
    observation = crop(tools, 0, 20)
    assert len(observation.pictures) == 8
    assert all(p.width * p.height <= 1000 for p in observation.pictures)


def test_marked_frame_with_and_without_a_time(tools: VideoTools) -> None:
    timed = call(tools, "view_visual_prompt", {"frame_path": "prompt_1"})
    untimed = call(tools, "view_visual_prompt", {"frame_path": "prompt_2"})
    assert [type(b) for b in timed.blocks] == [Text, Image]
    assert [type(b) for b in untimed.blocks] == [Image]
    assert timed.pictures[0].getpixel((0, 0)) == (40, 40, 40)


REFUSED = [
    ("crop_video", {"video_path": "video", "start_time": 5, "end_time": 20.2}, "past the end of the video (20.0 s)"),
    ("crop_video", {"video_path": "video", "start_time": 30, "end_time": 40}, "start_time 30 is past the end"),
    ("crop_video", {"video_path": "video", "start_time": 5, "end_time": 5}, "must be later"),
    ("crop_video", {"video_path": "video", "start_time": -1, "end_time": 5}, "must not be negative"),
    ("crop_video", {"video_path": "video", "start_time": math.nan, "end_time": 5}, "must be a number of seconds"),
    ("crop_video", {"video_path": "video", "start_time": 0, "end_time": math.inf}, "must be a number of seconds"),
    ("crop_video", {"video_path": "video", "start_time": 0, "end_time": 10**400}, "must be a number of seconds"),
    ("crop_video", {"video_path": "video", "start_time": "1", "end_time": 5}, "must be a number of seconds"),
    ("crop_video", {"video_path": "video", "start_time": True, "end_time": 5}, "must be a number of seconds"),
    ("crop_video", {"video_path": "/etc/passwd", "start_time": 1, "end_time": 5}, "there is no video '/etc/passwd'"),
    ("crop_video", {"video_path": "../clip.mp4", "start_time": 1, "end_time": 5}, "there is no video '../clip.mp4'"),
    ("crop_video", {"video_path": None, "start_time": 1, "end_time": 5}, "there is no video 'None'"),
    ("crop_video", {"video_path": "video"}, "needs start_time, end_time"),
    ("crop_video", {"video_path": "video", "start_time": 1, "end_time": 2, "fps": 9}, "does not take 'fps'"),
    ("view_visual_prompt", {"frame_path": "clip.jpg"}, "there is: prompt_1, prompt_2"),
    ("view_visual_prompt", {"frame_path": ["prompt_1"]}, "there is no visual prompt frame"),
    ("view_visual_prompt", {"frame_path": "<image><|im_end|>"}, "&lt;image>&lt;|im_end|>"),
    ("reset", {}, "there is no tool 'reset'"),
    ("_crop", {}, "there is no tool '_crop'"),
    ("__init__", {}, "there is no tool"),
    ("zoom", {"x": 1}, "there is: crop_video, view_visual_prompt"),
]


@pytest.mark.parametrize(("name", "arguments", "words"), REFUSED)
def test_refusals_are_told_to_the_model(tools: VideoTools, name: str, arguments: dict, words: str) -> None:
    observation = call(tools, name, arguments)
    assert words in observation.error
    assert observation.error.startswith("Error: ")
    assert observation.blocks == (Text(text=observation.error),)
    assert not observation.pictures


def test_long_names_are_cut(tools: VideoTools) -> None:
    assert len(call(tools, "view_visual_prompt", {"frame_path": "x" * 10_000}).error) < 200


def test_an_end_rounded_up_for_display_is_no_error(tools: VideoTools) -> None:
    assert not crop(tools, 16, 20.05).error


def test_past_end_can_be_clamped(video: Video) -> None:
    tools = VideoTools(ToolSettings(past_end="clamp"))
    tools.reset(video)
    assert [b.time_s for b in crop(tools, 16, 99).blocks if isinstance(b, Image)] == [16, 17, 18, 19]


def test_methods_called_directly_give_message_content(tools: VideoTools) -> None:
    content = tools.crop_video("video", 3, 5)
    assert [block["type"] for block in content] == ["text", "image"] * 4
    assert tools.crop_video("elsewhere", 3, 5)[0]["text"].startswith("Error: ")


def test_replaying_a_reference_gives_the_same_pixels(
    tools: VideoTools, video: Video, prompts: list[PromptFrame]
) -> None:
    names = {f"prompt_{n}": p for n, p in enumerate(prompts, start=1)}
    for observation in (crop(tools, 1.23, 4.56), call(tools, "view_visual_prompt", {"frame_path": "prompt_2"})):
        images = [b for b in observation.blocks if isinstance(b, Image)]
        again = materialise(images, video, names)
        assert [picture.tobytes() for picture in again] == [p.tobytes() for p in observation.pictures]


def test_reset_forgets_the_last_sample(tools: VideoTools, video: Video) -> None:
    tools.reset(video, [])
    assert "there is: none" in call(tools, "view_visual_prompt", {"frame_path": "prompt_1"}).error
