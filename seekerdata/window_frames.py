"""WindowFrames: the frames of a question's window with their true times, never many of them in memory at once."""

from collections.abc import Iterator, Sequence

from seekerdata.sample import Sample
from seekerdata.video import Frame, Video, fps_capped

READ_FRAMES = 8
"""Frames decoded together: 50 MB at 1080p, where a whole window of 256 would be 1.6 GB."""


class WindowFrames:
    """Frames at `fps` from the start of the sample's window to its end, at most `max_frames` (then further apart)."""

    def __init__(self, sample: Sample, video: Video, *, fps: float, max_frames: int) -> None:
        duration_s = video.info.duration_s
        start_s, end_s = sample.target.window_s or (0.0, duration_s)
        start_s = min(max(start_s, 0.0), duration_s)
        self.video = video
        self.times_s = fps_capped(fps, max_frames).times(start_s, max(start_s, min(end_s, duration_s)))

    def __len__(self) -> int:
        return len(self.times_s)

    def batches(self, indices: Sequence[int], size: int = READ_FRAMES) -> Iterator[list[tuple[int, Frame]]]:
        """Each index with its frame in full size, in the order asked for, `size` at a time."""
        for first in range(0, len(indices), size):
            some = indices[first : first + size]
            yield list(zip(some, self.video.frames([self.times_s[n] for n in some]), strict=True))

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Frame]]:
        """The same, one at a time."""
        for batch in self.batches(indices):
            yield from batch
