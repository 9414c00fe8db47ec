"""Preset: how much of a video a model is shown and how it is asked, under the name of where its numbers come from.

A preset says all that decides what a model sees; a run's manifest holds it as resolved. Times are true ones unless a
preset exists to reproduce numbers that were made with others.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seekerdata.errors import SeekerError
from seekerdata.instructions import Mode
from seekerdata.observation import Observation, look_at_video, stamp
from seekerdata.peer_decoder import PYAV, DecoderName
from seekerdata.plugin import near
from seekerdata.rollout import RolloutSettings
from seekerdata.tools import ToolSettings, VideoTools
from seekerdata.trajectory import Image, Text
from seekerdata.video import Clip, Sampling, Video, at, fps_capped, uniform
from seekereval.subtitles import Subtitle, interleaved

Sampler = Literal["fps", "uniform", "qwen_fps", "linspace", "middle"]
Stamps = Literal["true", "paper", "none"]
TOOLS = ("view_visual_prompt", "crop_video")


class Preset(BaseModel):
    """What a model is shown and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    """Whose settings these are."""
    mode: Mode = "tool"
    tools: tuple[str, ...] = TOOLS
    """Tools that are offered in mode `tool`, where an item has something for them to show."""
    sampler: Sampler = "fps"
    """Frames of the overview. By time: `fps` a second up to `frames`; `uniform`: `frames` from start to end; `middle`:
    one. By frame number, as qwen-vl-utils takes them: `qwen_fps`: an even count near `fps` a second, at least 4 and up
    to `frames`; `linspace`: `frames`; both from the first frame to the last."""
    fps: float = Field(default=1.0, gt=0)
    frames: int = Field(default=256, ge=1)
    decoder: DecoderName = PYAV
    """Whose pictures a model sees: another library's for the same frame numbers, to reproduce those who read by it."""
    max_pixels: int = 336 * 336
    """Size limit of a video frame, width x height."""
    prompt_max_pixels: int | None = 1280 * 784
    """Size limit of a marked frame; None keeps its own size."""
    timestamps: Stamps = "true"
    """`paper`: number / fps for the overview and start + number for a crop, as VideoSeeker's evaluation has them; they
    are wrong where its frame limits bite. `none`: no stamp."""
    calls: Literal["native", "text"] = "native"
    """How tools are called: through the API, or as `<tool_call>` text, for servers without."""
    rounds: int = Field(default=5, ge=0)
    max_tokens: int = Field(default=8192, ge=1)
    """Limit of one reply."""
    temperature: float | None = Field(default=0.0, ge=0)

    def rollout(self, spoken: tuple[Subtitle, ...] = ()) -> "Shown":
        """The settings of a play over a video in which this is said."""
        tools = ToolSettings(max_pixels=self.max_pixels, prompt_max_pixels=self.prompt_max_pixels)
        return Shown(
            mode=self.mode,
            overview_fps=self.fps,
            overview_max_frames=1 if self.sampler == "middle" else self.frames,
            max_pixels=self.max_pixels,
            max_rounds=self.rounds,
            tools=tools,
            sampler=self.sampler,
            timestamps=self.timestamps,
            spoken=spoken,
        )

    def toolset(self) -> VideoTools:
        """The tools of a play, with the stamps of this preset."""
        return StampedTools(self.rollout().tools, self.timestamps)


class Shown(RolloutSettings):
    """A play's settings with the samplers and stamps that other evaluations use."""

    sampler: Sampler = "fps"
    timestamps: Stamps = "true"
    spoken: tuple[Subtitle, ...] = ()
    """What is spoken in the video, where the benchmark's questions are asked with subtitles."""

    def overview(self, video: Video) -> Observation:
        shown = look_at_video(Clip(video, 0.0, video.info.duration_s), self._sampling(video), self.max_pixels)
        return interleaved(stamped(shown, self.timestamps, 0.0, self.overview_fps), self.spoken)

    def overview_frames(self, video_s: float | None) -> int:
        by_length = self.sampler in ("fps", "qwen_fps")
        return super().overview_frames(video_s) if by_length else self.overview_max_frames

    def _sampling(self, video: Video) -> Sampling:
        most = self.overview_max_frames
        if self.sampler == "fps":
            return fps_capped(self.overview_fps, most)
        if self.sampler == "uniform":
            return uniform(most)
        if self.sampler == "middle":
            return at([video.info.duration_s / 2])
        count = len(video.shown_s)
        wanted = most if self.sampler == "linspace" else qwen_count(count, video.info.fps, self.overview_fps, most)
        return at([video.shown_s[number] for number in linspace(count, wanted)])


class StampedTools(VideoTools):
    """The same tools; the stamps of a crop as a preset wants them."""

    def __init__(self, settings: ToolSettings, timestamps: Stamps) -> None:
        super().__init__(settings)
        self._timestamps = timestamps

    def _crop(self, name: Any, start_time: Any, end_time: Any) -> Observation:
        return stamped(super()._crop(name, start_time, end_time), self._timestamps, start_time, 1.0)


def stamped(shown: Observation, timestamps: Stamps, start_s: float, fps: float) -> Observation:
    """The same frames under a preset's stamps; the references keep their true times."""
    if timestamps == "true":
        return shown
    blocks: list[Text | Image] = []
    for n, image in enumerate(block for block in shown.blocks if isinstance(block, Image)):
        if timestamps == "paper":
            blocks.append(Text(text=stamp(start_s + n / fps)))
        blocks.append(image)
    return replace(shown, blocks=tuple(blocks))


def qwen_count(count: int, video_fps: float, fps: float, most: int) -> int:
    """How many of `count` frames qwen-vl-utils takes at `fps` a second of a video that has `video_fps`: an even number
    of 4 or more, at most `most` and no more than there are."""
    wanted = count * fps / video_fps if video_fps else count
    return int(min(max(wanted, 4), most // 2 * 2, count)) // 2 * 2


def linspace(count: int, wanted: int) -> list[int]:
    """Numbers of `wanted` of `count` frames, evenly from the first to the last, rounded; all where there are fewer."""
    return np.linspace(0, count - 1, max(1, min(wanted, count))).round().astype(int).tolist()


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(name="default", source="VideoSeeker's limits with true times"),
        Preset(
            name="videoseeker",
            source="VideoSeeker, arXiv 2605.16079, its evaluation script; our wording",
            sampler="qwen_fps",
            timestamps="paper",
            prompt_max_pixels=None,
        ),
        Preset(
            name="v2p",
            source="V2P-Bench, arXiv 2503.17736, its reference inference; our wording, the marked frame before the "
            "question",
            mode="direct",
            tools=(),
            sampler="linspace",
            frames=64,
            timestamps="none",
            max_tokens=64,
        ),
    )
}


def preset_of(name: str, **changes: Any) -> Preset:
    """A preset by its name, with what a user changed; a change of None changes nothing.

    Raises:
        SeekerError: no such preset or tool, or a value that cannot be.
    """
    if name not in PRESETS:
        raise SeekerError(f"no preset '{name}'{near(name, list(PRESETS))}")
    changes = {key: value for key, value in changes.items() if value is not None}
    for tool in changes.get("tools", ()):
        if tool not in TOOLS:
            raise SeekerError(f"no tool '{tool}'{near(tool, list(TOOLS))}")
    if changes.get("mode") == "tool" and not changes.get("tools") and not PRESETS[name].tools:
        changes["tools"] = TOOLS
    try:
        return Preset.model_validate({**PRESETS[name].model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SeekerError(f"preset {name}: {key}: {first['msg']}") from None
