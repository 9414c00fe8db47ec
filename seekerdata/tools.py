"""VideoTools: the two tools a model looks with. One class for synthesis, training and evaluation.

Its public methods, apart from `reset`, are exactly the tools (TRL makes a tool of every public method). Names are
opaque and resolved inside the sample's own allow-list; no path of any kind is ever opened.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from seekerdata.errors import ToolError
from seekerdata.instructions import quote
from seekerdata.observation import Observation, PromptFrame, look_at_prompt, look_at_video
from seekerdata.trajectory import Text
from seekerdata.video import Clip, Video, fps_capped

VIDEO = "video"
SLACK_S = 0.051
"""Times are shown to a model with one decimal, so an end may lie this far past the true end by rounding."""


class ToolSettings(BaseModel):
    """What the tools show. Defaults are VideoSeeker's (its evaluation script and RL tool)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_fps: float = 1.0
    crop_min_frames: int = 4
    crop_max_frames: int = 64
    max_pixels: int = 336 * 336
    """Size limit of a video frame, width x height."""
    prompt_max_pixels: int | None = 1280 * 784
    """Size limit of a marked frame; None keeps its own size, as the paper does."""
    past_end: Literal["error", "clamp"] = "error"
    """What a crop that ends after the video gets: an error told to the model (as in the paper) or the rest."""


class VideoTools:
    """The tools of one rollout. Call `reset` before each; an instance may be reused."""

    def __init__(self, settings: ToolSettings | None = None) -> None:
        self._settings = settings or ToolSettings()
        self._prompts: dict[str, PromptFrame] = {}
        self._video: Video | None = None
        self._last: Observation | None = None

    def reset(self, video: Video, prompts: Sequence[PromptFrame] = ()) -> None:
        """Start a rollout over one video and its marked frames, which become `prompt_1`, `prompt_2`, ..."""
        self._video = video
        self._prompts = {f"prompt_{n}": prompt for n, prompt in enumerate(prompts, start=1)}
        self._last = None

    def view_visual_prompt(self, frame_path: str) -> list[dict[str, Any]]:
        """View the frame on which the thing that the question asks about is marked.

        Args:
            frame_path: Name of the visual prompt frame, as given in the question.
        """
        return self._show(lambda: self._view(frame_path))

    def crop_video(self, video_path: str, start_time: float, end_time: float) -> list[dict[str, Any]]:
        """Look closely at a stretch of the video.

        Args:
            video_path: Name of the video, as given in the question.
            start_time: Start of the stretch, in seconds.
            end_time: End of the stretch, in seconds, later than the start.
        """
        return self._show(lambda: self._crop(video_path, start_time, end_time))

    def _show(self, look: Callable[[], Observation]) -> list[dict[str, Any]]:
        try:
            self._last = look()
        except ToolError as error:
            self._last = refusal(str(error))
        return self._last.content()

    def _view(self, name: Any) -> Observation:
        if not isinstance(name, str) or name not in self._prompts:
            known = ", ".join(self._prompts) or "none"
            raise ToolError(f"there is no visual prompt frame {quote(name)}; there is: {known}")
        return look_at_prompt(name, self._prompts[name], self._settings.prompt_max_pixels)

    def _crop(self, name: Any, start_time: Any, end_time: Any) -> Observation:
        if name != VIDEO or self._video is None:
            raise ToolError(f"there is no video {quote(name)}; there is: {VIDEO}")
        start_s, end_s = _seconds("start_time", start_time), _seconds("end_time", end_time)
        duration_s = self._video.info.duration_s
        if start_s >= end_s:
            raise ToolError(f"end_time {end_s:g} must be later than start_time {start_s:g}")
        if start_s >= duration_s:
            raise ToolError(f"start_time {start_s:g} is past the end of the video ({duration_s:.1f} s)")
        if end_s > duration_s + SLACK_S and self._settings.past_end == "error":
            raise ToolError(f"end_time {end_s:g} is past the end of the video ({duration_s:.1f} s)")
        clip = Clip(self._video, start_s, min(end_s, duration_s))
        s = self._settings
        return look_at_video(clip, fps_capped(s.crop_fps, s.crop_max_frames, s.crop_min_frames), s.max_pixels)


def call(tools: VideoTools, name: str, arguments: dict[str, Any], offered: Sequence[str] | None = None) -> Observation:
    """Carry out one call as a model wrote it; whatever is wrong with it becomes text for the model.

    Args:
        tools: the toolset.
        name: the tool's name, as the model wrote it.
        arguments: as the model wrote them.
        offered: names of the tools that may be called; all if None.
    """
    known = tool_names(type(tools)) if offered is None else list(offered)
    method = getattr(tools, name) if name in known else None
    if method is None:
        return refusal(f"there is no tool {quote(name)}; there is: {', '.join(known) or 'none'}")
    wanted = list(inspect.signature(method).parameters)
    missing = [key for key in wanted if key not in arguments]
    unknown = [quote(key) for key in arguments if key not in wanted]
    if missing or unknown:
        faults = [f"needs {', '.join(missing)}"] * bool(missing)
        faults += [f"does not take {', '.join(unknown)}"] * bool(unknown)
        return refusal(f"{name} {' and '.join(faults)}")
    method(**arguments)
    assert tools._last is not None
    return tools._last


def refusal(reason: str) -> Observation:
    """The observation of a call that was not carried out."""
    text = f"Error: {reason}."
    return Observation((Text(text=text),), error=text)


def tool_names(toolset: type) -> list[str]:
    """Names of a toolset's tools: its public methods apart from `reset`."""
    return [n for n, _ in inspect.getmembers(toolset, inspect.isfunction) if n[0] != "_" and n != "reset"]


def tool_schemas(toolset: type = VideoTools) -> list[dict[str, Any]]:
    """The tools as OpenAI function schemas, read from signatures and docstrings (as transformers does)."""
    return [_schema(getattr(toolset, name)) for name in tool_names(toolset)]


def _schema(method: Callable[..., Any]) -> dict[str, Any]:
    text = inspect.getdoc(method) or ""
    description, _, arguments = text.partition("\n\nArgs:\n")
    meanings = dict(re.findall(r"^ {4}(\w+): (.+)$", arguments, flags=re.MULTILINE))
    kinds = {str: "string", float: "number"}
    hints = {k: v for k, v in inspect.get_annotations(method).items() if k != "return"}
    properties = {k: {"type": kinds[v], "description": meanings[k]} for k, v in hints.items()}
    parameters = {"type": "object", "properties": properties, "required": list(hints)}
    function = {"name": method.__name__, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def _seconds(key: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -1e9 < value < 1e9:  # also false for NaN
        raise ToolError(f"{key} must be a number of seconds, not {quote(value)}")
    if value < 0:
        raise ToolError(f"{key} must not be negative, not {value:g}")
    return float(value)
