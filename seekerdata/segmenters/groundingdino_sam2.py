"""groundingdino_sam2: Grounding DINO finds boxes by words on some frames, SAM 2 follows the surest one from there."""

from typing import ClassVar, Literal

from pydantic import Field

from seekerdata.box_models import BoxFinder, BoxTracker, Found
from seekerdata.follower import Follower
from seekerdata.instance import Box, mask_box
from seekerdata.mask_track import MaskTrack, box_iou, nothing_found, several_found
from seekerdata.original_models import OriginalFinder, OriginalTracker, check_packages
from seekerdata.vision_model import check_installed
from seekerdata.window_frames import WindowFrames

__all__ = ["GroundingDinoSam2"]


class GroundingDinoSam2(Follower):
    """Finds the target's box by its tag with Grounding DINO and follows it with SAM 2; needs the `segment` extra.

    The surest box of the window is followed to both ends. Where SAM 2 has lost the target and Grounding DINO sees one
    again, that box is followed on. A box away from the followed mask is a second thing.
    """

    undecisive: ClassVar[frozenset[str]] = Follower.undecisive | {"batch_frames"}
    to_save_memory: ClassVar[str] = "lower batch_frames or long_side_px, or choose a smaller tracker"

    backend: Literal["transformers", "packages"] = "transformers"
    """`packages`: the original groundingdino-py and sam2, in an environment of their own with transformers 4.57."""
    detector: str = "IDEA-Research/grounding-dino-base"
    """A folder, or a name on the hub, `@revision` behind it to pin one. For `packages` a `.pth` file."""
    detector_config: str = ""
    """For `packages`: a `.py` file, or a name that groundingdino-py brings, such as `GroundingDINO_SwinB_cfg`."""
    text_encoder: str = ""
    """For `packages`: a folder with bert-base-uncased, whose tokenizer the detector needs."""
    tracker: str = "facebook/sam2.1-hiera-large"
    """The same as for `detector`. For `packages` a `.pt` file."""
    tracker_config: str = ""
    """For `packages`: a `.yaml` file, or a name that sam2 brings, such as `configs/sam2.1/sam2.1_hiera_l.yaml`."""
    box_score: float = 0.35
    """Least score of a box; the original's own."""
    detect_every: int = Field(default=4, ge=1)
    """Words are looked for on every so many frames, starting with the first."""
    batch_frames: int = Field(default=4, ge=1)
    """Frames that the detector takes at once; SAM 2 takes one after the other, since each rests on those before."""
    short_side_px: int = 800
    long_side_px: int = 1333
    """The detector sees frames scaled to this shorter side, unless the longer one would pass its limit."""
    agree_iou: float = 0.3
    """A box that covers the followed mask's own box less than this is a second thing."""

    def check_ready(self) -> None:
        if self.backend == "packages":
            check_packages(detector=self.detector, text_encoder=self.text_encoder, tracker=self.tracker)
        else:
            check_installed(self.detector, self.tracker)

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        """The one track of the surest box.

        Raises:
            ItemError: `nothing_found`, `several_found`.
        """
        seeds: dict[int, Found] = {}
        for index, time_s, found in self._detect(frames, tag):
            if len(found) > 1 and self.several == "reject":
                raise several_found(tag, len(found), time_s)
            if found:
                seeds[index] = found[0]
        if not seeds:
            raise nothing_found(tag)
        surest = max(seeds, key=lambda index: seeds[index][0])
        track = MaskTrack()
        self._track(frames, tag, range(surest, len(frames)), seeds, track)
        self._track(frames, tag, range(surest, -1, -1), seeds, track)
        return [track]

    def _finder(self) -> BoxFinder | OriginalFinder:
        if self.backend == "transformers":
            return BoxFinder(self.detector, self.device, self.dtype)
        return OriginalFinder(self.detector, self.detector_config, self.text_encoder, self.device)

    def _tracker(self) -> BoxTracker | OriginalTracker:
        if self.backend == "transformers":
            return BoxTracker(self.tracker, self.device, self.dtype)
        return OriginalTracker(self.tracker, self.tracker_config, self.device, self.dtype)

    def _detect(self, frames: WindowFrames, tag: str) -> list[tuple[int, float, list[Found]]]:
        """For every looked-at frame its index, time and boxes, the surest first."""
        finder, words, seen = self._finder(), tag.lower().rstrip(". ") + ".", []
        for batch in frames.batches(range(0, len(frames), self.detect_every), self.batch_frames):
            rgbs = [frame.rgb for _, frame in batch]
            found = finder.find(rgbs, self._size_hw(*rgbs[0].shape[:2]), words)
            seen += [(n, frame.time_s, self._apart(boxes)) for (n, frame), boxes in zip(batch, found, strict=True)]
        return seen

    def _size_hw(self, height: int, width: int) -> tuple[int, int]:
        scale = min(self.short_side_px / min(height, width), self.long_side_px / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _apart(self, found: list[Found]) -> list[Found]:
        """The boxes that are sure enough, surest first, without those that lie on a surer one."""
        kept: list[Found] = []
        for score, box in sorted(found, key=lambda f: -f[0]):
            large = min(box[2] - box[0], box[3] - box[1]) >= 1
            if large and score >= self.box_score and all(box_iou(box, other) < self.same_iou for _, other in kept):
                kept.append((score, box))
        return kept

    def _track(self, frames: WindowFrames, tag: str, indices: range, seeds: dict[int, Found], track: MaskTrack) -> None:
        """Follow the box of the first index along the indices; start again from a later box where it was lost."""
        tracker, tracking, lost = self._tracker(), None, True
        for index, frame in frames.read(indices):
            height, width = frame.rgb.shape[:2]
            if tracking is None or (lost and index in seeds):
                tracking = tracker.start(len(frames), index, seeds[index][1], (width, height))
            mask, score = tracking.step(index, frame.rgb, reverse=indices.step < 0)
            box = mask_box(mask)
            lost = box is None
            if box and self.several == "reject" and index in seeds and index != indices.start:
                self._check_agreement(box, seeds[index][1], tag, frame.time_s)
            track.add(frame.time_s, mask, score, self.plugin_name())

    def _check_agreement(self, followed: Box, found: Box, tag: str, time_s: float) -> None:
        if box_iou(followed, found) < self.agree_iou:
            raise several_found(tag, 2, time_s)
