"""Showing: what the rollouts of a process are shown: each row opened once for its group, many looks under way at once.

Nothing here belongs to one rollout, and nothing of a rollout is changed here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.dataset_row import asked
from seekerdata.drawn_mark import prompt_frame
from seekerdata.observation import Observation, PromptFrame
from seekerdata.player import control_of
from seekerdata.rollout import Conversation, RolloutSettings, observe, opening
from seekerdata.tools import VideoTools
from seekerdata.trajectory import Image, ToolCall
from seekerdata.video import Video
from seekertrain.looking import Look, Looking
from seekertrain.shared import Pictures

Row = dict[str, Any]


class Opened(NamedTuple):
    """A row as its rollouts begin with it. They share it, in threads too: nothing of it is changed."""

    video: Video
    marks: Sequence[PromptFrame]
    conversation: Conversation


class Showing:
    """Opens rows and looks at their videos, for all rollouts of a process.

    Args:
        videos: the folder that `video_path` is relative to.
        settings: what is shown first, limits; without tools where the mode is not `tool`.
        pictures: shared by all rollouts.
        looking: carries out what they look at.
    """

    def __init__(
        self,
        videos: Path,
        settings: RolloutSettings,
        pictures: Pictures | None = None,
        looking: Looking | None = None,
    ) -> None:
        self.videos, self.settings = videos, settings
        self.pictures, self.looking = pictures or Pictures(), looking or Looking()
        self._openings: dict[str, Look[Opened]] = {}

    def open(self, rows: Iterable[Row]) -> None:
        """Begin to open the rows of a batch, each once; what was opened for the batch before is dropped."""
        self._openings = {}
        for row in rows:
            if row["id"] not in self._openings:
                self._openings[row["id"]] = self.looking.start(row["video_path"], partial(self._open, row))

    def opened(self, row: Row) -> Opened:
        """A row, opened.

        Raises:
            ItemError: its video cannot be shown, or not in time.
        """
        if row["id"] not in self._openings:
            self.open([row])
        return self.looking.result(self._openings[row["id"]])

    def look(self, opened: Opened, call: ToolCall, number: int) -> Look[Observation]:
        """Begin what the call of this number shows; tools of its own answer it, so that looks do not meet."""

        def seen() -> Observation:
            tools = VideoTools(self.settings.tools)
            tools.reset(opened.video, opened.marks)
            observation = observe(opened.conversation, tools, call, number, self.settings.max_rounds)
            return self._with_shared(observation)

        return self.looking.start(opened.video.path, seen)

    def _open(self, row: Row) -> Opened:
        video = Video(self.videos / row["video_path"], cache=self.pictures.frames, budget_s=self.looking.limit_s)
        marks = [prompt_frame({**row, "image": row["marked"]}, video)]
        begun = opening(asked(row), video, marks, self.settings, control_of(self.settings))
        user = begun.turns[-1]
        shown = self._with_shared(Observation(user.content, tuple(begun.pictures[image] for image in user.images)))
        begun.pictures = dict(zip(user.images, shown.pictures, strict=True))
        return Opened(video, marks, begun)

    def _with_shared(self, observation: Observation) -> Observation:
        """What is shown, of equal pixels the same picture for all rollouts."""
        images = [block for block in observation.blocks if isinstance(block, Image)]
        shown = zip(images, observation.pictures, strict=True)
        return replace(observation, pictures=tuple(self.pictures.one(image.sha256, p) for image, p in shown))
