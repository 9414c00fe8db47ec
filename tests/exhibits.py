"""Exhibits to put on a page: a sample with its mark, a conversation with every kind of turn, words that mean harm."""

import json
import re
from typing import Any

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.exhibit import Exhibit
from seekerdata.sample import Sample
from seekerdata.trajectory import Block, Image, StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.visual_prompt import VisualPrompt

EVIL = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7 * 7 }} **b** \u202efdp\u2067 <!-- &lt; ü"
    " <!-- next --> </noscript> \u2028 ${alert(3)}"
)


def listed(page: str) -> list[dict[str, Any]]:
    """What the list of a written page has of each item."""
    (index,) = re.findall(r'<script type="application/json" id="index">(.*?)</script>', page, flags=re.DOTALL)
    items: list[dict[str, Any]] = json.loads(index)["items"]
    return items


def frame(time_s: float, source: str = "video") -> Image:
    return Image(source=source, time_s=time_s, max_pixels=None, size_wh=(640, 360), sha256=f"{source}@{time_s}")


def shown(*images: Image) -> tuple[Block, ...]:
    return tuple(b for image in images for b in (Text(text=f"<{image.time_s:.1f} seconds>"), image))


def picture(image: Image) -> PIL.Image.Image:
    if image.time_s == 13.0:
        raise ItemError("not_reproduced", f"pixels differ {EVIL}")
    return PIL.Image.new("RGB", image.size_wh, (int(10 * (image.time_s or 0)) % 256, 90, 40))


def with_mark(sample: Sample) -> Sample:
    """The sample with a mark, a dimension and words of stages."""
    prompt = VisualPrompt(time_s=8.5, shape="set_of_mark", colour="aqua", phrase="the target", box_xyxy=(1, 2, 9, 9))
    provenance = {"filter": {"by": "rules", "reason": EVIL}, "odd": EVIL}
    return sample.model_copy(update={"visual_prompts": (prompt,), "dimension": "OA", "provenance": provenance})


def conversation(*, overview: int = 3, words: str = "", answer: str = "B", correct: bool = True) -> Trajectory:
    def call(n: int, name: str, **arguments: Any) -> tuple[ToolCall, ...]:
        return (ToolCall(id=f"c{n}", name=name, arguments=arguments),)

    def said(text: str, **more: Any) -> Turn:
        return Turn(role="assistant", content=(Text(text=text),), **more)

    late = call(1, "crop_video", video_path=words or "video", start_time=18, end_time=25)
    close = call(3, "crop_video", video_path="video", start_time=8, end_time=9)
    turns = (
        Turn(role="system", content=(Text(text=f"You look. {words}"),)),
        Turn(role="user", content=(*shown(*(frame(float(t)) for t in range(overview))), Text(text="Question"))),
        said("<think>too late</think>", tool_calls=late, loss=False),
        Turn(role="tool", content=(Text(text=f"Error: past the end {words}."),), tool_call_id="c1"),
        said("I see", tool_calls=call(2, "view_visual_prompt", frame_path="prompt_1")),
        Turn(role="tool", content=shown(frame(8.5, "prompt_1")), tool_call_id="c2"),
        said(f"<think>near {words}</think>", tool_calls=close),
        Turn(role="tool", content=shown(frame(8.03), frame(8.53)), tool_call_id="c3"),
        said(f"<think>done</think>{words}<answer>{answer}</answer>"),
    )  # fmt: skip
    usage = {"output_tokens": 1234}
    stop = StopReason.ANSWERED
    return Trajectory(
        sample_id="q1", policy="expert", turns=turns, stop=stop, answer=answer, correct=correct, usage=usage
    )


def exhibit(sample: Sample, trajectory: Trajectory | None, verdict: str = "kept") -> Exhibit:
    raw, drawn = (PIL.Image.new("RGB", (1024, 576), colour) for colour in ("grey", "navy"))
    return Exhibit(sample, trajectory, verdict, picture, drawn, raw)
