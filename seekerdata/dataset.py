"""Dataset: the Hugging Face columns of the three configurations, `qa`, `sft` and `rl`. The one place that names them.

Marked frames are always inside. Overview and crop frames are kept by reference (video, true time, size, hash of the
pixels) or, with `media: embedded`, inside as JPEG; `pictures` gives them back either way.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
from pydantic import BaseModel, ConfigDict

from seekerdata.control import CONTROLS
from seekerdata.drawn_mark import prompt_frame
from seekerdata.instructions import first_turns
from seekerdata.observation import Observation, PromptFrame, materialise
from seekerdata.sample import Sample
from seekerdata.stage import Item
from seekerdata.tools import VIDEO, tool_schemas
from seekerdata.trajectory import Image, Turn
from seekerdata.video import FrameCache, Video
from seekerdata.workspace import Workspace, encode_jpeg

CONFIGS = ("qa", "sft", "rl")

Media = Literal["reference", "embedded"]


class DatasetSettings(BaseModel):
    """How a dataset keeps its frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    media: Media = "reference"
    """Overview and crop frames: by reference to the video (small), or embedded as JPEG (self-contained)."""


def features(config: str) -> Any:
    """The `datasets.Features` of a configuration."""
    from datasets import Features, Json, List, Value
    from datasets import Image as Picture

    text, real, whole, yes = Value("string"), Value("float64"), Value("int64"), Value("bool")
    video = {
        "video_path": text,
        "video_sha256": text,
        "video_duration_s": real,
        "video_size_wh": List(whole),
    }
    video |= {"video_origin": text, "video_licence": text}
    asked = {"question": text, "answer": text, "dimension": text, "tag": text}
    asked |= {"window_s": List(real), "event_s": List(real), "needs_mark": yes, "needs_crop": yes}
    mark = {"shape": text, "colour": text, "phrase": text, "frame_time_s": real}
    mark |= {"box_xyxy": List(real), "mask": Json(), "drawn": Json(), "image": Picture(), "raw_image": Picture()}
    asked |= {f"right_{name}": real for name in CONTROLS}
    message = {"role": text, "content": List(Json()), "tool_calls": List(Json())}
    message |= {"tool_call_id": text, "loss": yes}
    media = {"tools": List(Json()), "images": List(Picture()), "media": text}
    columns: dict[str, dict[str, Any]] = {
        "qa": asked | {"options": List(text), "answer_text": text, "text_question": text},
        "sft": {"messages": List(message), "kind": text, "policy": text, "calls": whole} | asked,
        "rl": {"prompt": List(message), "task": text, "pass_rate": real, "pass_k": whole} | asked,
    }
    making = {"step": text, "columns": List(text), "model": text, "prompt": text, "time": text}
    making |= {"calls": whole, "input_tokens": whole, "output_tokens": whole, "cost": real}
    columns["rl"] |= {"choice_question": text, "options": List(text)}
    extra = media if config != "qa" else {}
    origin = {"made_by": List(making), "provenance": Json()}
    return Features({"id": text} | columns[config] | extra | mark | video | origin)


def qa_row(item: Item, workspace: Workspace, selected: Sample | None = None) -> dict[str, Any]:
    """One visual-prompt question; `selected` is its sample after the selection, which may have tested it."""
    sample = item.sample
    facts = {
        "options": list(sample.options),
        "answer_text": sample.answer_text,
        "text_question": sample.text_question,
    }
    return _common(sample, workspace) | facts | _removal(selected or sample)


def sft_row(item: Item, workspace: Workspace, media: Media, files: Sequence[bytes] | None = None) -> dict[str, Any]:
    """One trajectory as messages with typed blocks; `files` are its pictures, if they lie in no video that is here."""
    trajectory = item.trajectory
    assert trajectory is not None, "solve leaves a trajectory"
    pictures = [_file(data) for data in files or ()]
    if media == "embedded" and files is None:
        pictures = _embedded(item, trajectory.turns, workspace)
    facts = {
        "messages": messages(trajectory.turns),
        "kind": trajectory.kind,
        "policy": trajectory.policy,
        "calls": len(trajectory.calls),
        "images": pictures,
        "media": media,
        "tools": tool_schemas(),
    }
    return _common(item.sample, workspace) | facts


def rl_row(item: Item, workspace: Workspace, media: Media) -> dict[str, Any]:
    """One question without options, its first two turns, and the truth that rewards need.

    `choice_question` and `options` are what it was as multiple choice; empty if it never was.
    """
    sample, trajectory = item.sample, item.trajectory
    assert trajectory is not None, "solve leaves a trajectory"
    overview = Observation(trajectory.turns[1].content[:-1])
    tried = sample.provenance.get("select", {})
    question = tried.get("open_question", {}).get("question") or sample.question
    turns = first_turns(question, (), overview, "tool", sample.video.duration_s, ["prompt_1"])
    pictures = _embedded(item, turns, workspace) if media == "embedded" else []
    facts = {
        "question": question,
        "choice_question": sample.question if sample.options else "",
        "options": list(sample.options),
        "prompt": messages(turns),
        "answer": sample.answer_text,
        "task": "open_ended",
        "pass_rate": tried.get("pass_rate"),
        "pass_k": tried.get("k"),
        "images": pictures,
        "media": media,
        "tools": tool_schemas(),
    }
    return _common(sample, workspace) | facts


def messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Turns in the neutral form: typed blocks, OpenAI tool calls, the loss flag."""
    return [
        {
            "role": turn.role,
            "content": [block.model_dump(mode="json") for block in turn.content],
            "tool_calls": [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.name, "arguments": c.arguments},
                }
                for c in turn.tool_calls
            ],
            "tool_call_id": turn.tool_call_id,
            "loss": turn.loss and turn.role == "assistant",
        }
        for turn in turns
    ]


def pictures(row: dict[str, Any], video_root: Path, cache: FrameCache | None = None) -> list[PIL.Image.Image]:
    """The pictures of an `sft` or `rl` row, one for each image block in order.

    Args:
        row: as `load_dataset` gives it.
        video_root: the folder that `video_path` is relative to; not opened when frames are embedded.
        cache: shares decoded frames with the other rows of a video.

    Raises:
        ItemError: a video is missing or gives other pixels than were recorded.
    """
    if row["media"] == "embedded":
        return list(row["images"])
    turns = row["messages"] if "messages" in row else row["prompt"]
    blocks = [block for turn in turns for block in turn["content"] if block["type"] == "image"]
    video = Video(video_root / row["video_path"], cache=cache)
    prompts = {name: prompt_frame(row, video) for name in {block["source"] for block in blocks} - {VIDEO}}
    return materialise([Image(**block) for block in blocks], video, prompts)


def _common(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    video, target = sample.video, sample.target
    return {
        "id": sample.id,
        "question": sample.question,
        "answer": sample.answer,
        "dimension": sample.dimension,
        "tag": target.tag,
        "window_s": list(target.window_s or ()),
        "event_s": list(target.event_s or ()),
        "needs_mark": target.needs_mark,
        "needs_crop": target.needs_crop,
        **_removal(sample),
        **_mark(sample, workspace),
        "video_path": video.path,
        "video_sha256": video.sha256,
        "video_duration_s": video.duration_s,
        "video_size_wh": list(video.size_wh),
        "video_origin": video.origin,
        "video_licence": video.licence,
        "provenance": sample.provenance,
    }


def _mark(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    """The columns of the mark; empty for a question that has none, as in other people's trajectories."""
    if not sample.visual_prompts:
        nothing = dict.fromkeys(("frame_time_s", "mask", "drawn", "image", "raw_image"))
        return {"shape": "", "colour": "", "phrase": "", "box_xyxy": [], **nothing}
    (prompt,) = sample.visual_prompts
    return {
        "shape": prompt.shape,
        "colour": prompt.colour,
        "phrase": prompt.phrase,
        "frame_time_s": prompt.time_s,
        "box_xyxy": list(prompt.box_xyxy),
        "mask": prompt.mask,
        "drawn": prompt.drawn,
        "image": _file(workspace.read_bytes(prompt.image)),
        "raw_image": _file(workspace.read_bytes(prompt.raw_image)),
    }


def _removal(sample: Sample) -> dict[str, float | None]:
    """Shares of right tries with something taken away; None where that was not tested."""
    tests = sample.provenance.get("select", {}).get("removal", {}).get("tests", {})
    return {f"right_{name}": tests.get(name, {}).get("pass_rate") for name in CONTROLS}


def shown(sample: Sample, turns: Iterable[Turn], workspace: Workspace) -> list[PIL.Image.Image]:
    """The pictures of a sample's turns, in order, from the files of its run."""
    prompts = {
        f"prompt_{n}": PromptFrame(workspace.picture(p.image), p.time_s)
        for n, p in enumerate(sample.visual_prompts, start=1)
    }
    images = [image for turn in turns for image in turn.images]
    return materialise(images, workspace.video(sample.video.path), prompts)


def _embedded(item: Item, turns: Iterable[Turn], workspace: Workspace) -> list[dict[str, Any]]:
    """Every image block's picture as an embedded JPEG."""
    return [_file(encode_jpeg(np.asarray(picture))) for picture in shown(item.sample, turns, workspace)]


def _file(data: bytes) -> dict[str, Any]:
    with PIL.Image.open(io.BytesIO(data)) as picture:
        picture.verify()
    return {"bytes": data, "path": None}
