"""Follower: a segmenter that follows what the words name through the question's window, with open weights.

The settings that all such segmenters share; each adds its models and says how it follows.
"""

from typing import ClassVar

from pydantic import Field

from seekerdata.errors import ItemError
from seekerdata.instance import Instance, Segmenter
from seekerdata.load import frame_count
from seekerdata.mask_track import MaskTrack, Several, the_one
from seekerdata.sample import Sample
from seekerdata.video import Video
from seekerdata.vision_model import Dtype, first_line, is_out_of_memory
from seekerdata.window_frames import WindowFrames


class Follower(Segmenter):
    """Gives the target a mask at every sampled second of its window at which the model sees it."""

    follows: ClassVar[bool] = True
    undecisive: ClassVar[frozenset[str]] = frozenset({"device"})
    to_save_memory: ClassVar[str] = "choose a smaller model"
    """Which settings to change when memory runs out, said to the user."""

    device: str = "auto"
    """`auto` is the GPU if there is one; else `cpu`, `cuda`, `cuda:1`."""
    dtype: Dtype = "auto"
    fps: float = Field(default=1.0, gt=0)
    """Frames per second looked at; the paper's is 1."""
    max_frames: int = Field(default=256, ge=1)
    """A longer window is looked at in wider steps: memory and time grow with every frame."""
    several: Several = "reject"
    """When several things fit the tag at one time: `reject` the question, or follow the `best` of them."""
    same_iou: float = Field(default=0.6, gt=0, le=1)
    """Findings that cover each other this much (intersection over union) are one thing found twice."""

    def frames(self, video_s: float | None) -> int:
        """As if every window were the whole video."""
        return frame_count(self.fps, self.max_frames, video_s)

    def segment(self, sample: Sample, video: Video) -> Instance:
        """The thing that the sample's tag names, with a mask for every sighting in the window.

        Raises:
            ItemError: `no_tag`, `nothing_found`, `several_found`, `out_of_memory` (to be tried again); the video's own
                errors.
            SeekerError: packages or weights are not there.
        """
        tag = sample.target.tag.strip()
        if not tag:
            raise ItemError("no_tag", "a segmenter needs words for the target, and this row has no tag")
        frames = WindowFrames(sample, video, fps=self.fps, max_frames=self.max_frames)
        try:
            tracks = self.follow(frames, tag)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            window = f"a window of {len(frames)} frames of {'x'.join(map(str, sample.video.size_wh))}"
            text = f"no memory left for {window}: {self.to_save_memory} ({first_line(error)})"
            raise ItemError("out_of_memory", text, retryable=True) from None
        return the_one(tracks, tag, self.several, self.same_iou).instance(tag)

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        """Everything in these frames that fits the tag, each thing as one track."""
        raise NotImplementedError
