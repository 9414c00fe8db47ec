"""Control: what is taken away from a play, to see what it was worth. The loop and the tools stay the same."""

from typing import Literal, NamedTuple

ControlName = Literal["no_mark", "no_crops", "text_only", "one_frame"]


class Control(NamedTuple):
    """What a policy is still shown and offered. Whoever plays passes raw frames where `marked` is False."""

    opens_with: Literal["overview", "prompt", "both", "nothing"] = "overview"
    """What stands before the question: frames of the whole video, the marked frame, both, or no frame at all."""
    marked: bool = True
    """False: the raw frame stands in the place of the marked one, under the same name."""
    tools: tuple[str, ...] | None = None
    """Names of the tools that are offered; None: all."""


WHOLE = Control()
"""Nothing is taken away."""

CONTROLS: dict[ControlName, Control] = {
    "no_mark": Control(marked=False),
    "no_crops": Control(tools=("view_visual_prompt",)),
    "text_only": Control(opens_with="nothing", tools=()),
    "one_frame": Control(opens_with="prompt", tools=()),
}
"""Without the mark; without looking closely at the video; the question's words alone; the marked frame alone."""
