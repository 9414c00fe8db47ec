"""groundingdino_sam2: Grounding DINO finds boxes by words on some frames, SAM 2 follows the surest one from there."""

from typing import Literal

from pydantic import Field

from seekerdata.errors import SeekerError
from seekerdata.follower import Follower
from seekerdata.instance import Box, mask_box
from seekerdata.mask_track import MaskTrack, box_iou, nothing_found, several_found
from seekerdata.video_session import VideoSession
from seekerdata.vision_model import full_size_mask, import_torch, load_model, load_tokenizer
from seekerdata.window_frames import WindowFrames

__all__ = ["GroundingDinoSam2"]

Found = tuple[float, Box]
"""A detection: its score, its box in pixels of the full frame."""


class GroundingDinoSam2(Follower):
    """Finds the target's box by its tag with Grounding DINO and follows it with SAM 2; needs the `segment` extra.

    The surest box of the window is followed to both ends. Where SAM 2 has lost the target and Grounding DINO sees one
    again, that box is followed on. A box away from the followed mask is a second thing.
    """

    backend: Literal["transformers", "packages"] = "transformers"
    """`packages` would be the original groundingdino-py and sam2, which do not work beside transformers 5."""
    detector: str = "IDEA-Research/grounding-dino-base"
    """A folder, or a name on the hub, `@revision` behind it to pin one."""
    tracker: str = "facebook/sam2.1-hiera-large"
    box_score: float = 0.35
    """Least score of a box; the original's own."""
    detect_every: int = Field(default=4, ge=1)
    """Words are looked for on every so many frames, starting with the first."""
    batch_frames: int = Field(default=4, ge=1)
    """Frames that the detector takes at once."""
    short_side_px: int = 800
    long_side_px: int = 1333
    """The detector sees frames scaled to this shorter side, unless the longer one would pass its limit."""
    agree_iou: float = 0.3
    """A box that covers the followed mask's own box less than this is a second thing."""

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        """The one track of the surest box.

        Raises:
            ItemError: `nothing_found`, `several_found`.
        """
        if self.backend == "packages":
            raise _packages_do_not_work()
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

    def _detect(self, frames: WindowFrames, tag: str) -> list[tuple[int, float, list[Found]]]:
        """For every looked-at frame its index, time and boxes, the surest first."""
        torch = import_torch()
        vision = load_model("GroundingDinoForObjectDetection", self.detector, self.device, "float32")
        low = self.dtype == "bfloat16" or (self.dtype == "auto" and vision.device != "cpu")
        text = tag.lower().rstrip(". ") + "."
        tokens = load_tokenizer(self.detector)(text, return_tensors="pt", truncation=True, max_length=256)
        tokens = {key: value.to(vision.device) for key, value in tokens.items()}
        seen = []
        for batch in frames.batches(range(0, len(frames), self.detect_every), self.batch_frames):
            height, width = batch[0][1].rgb.shape[:2]
            pixels = vision.pixels([frame.rgb for _, frame in batch], self._size_hw(height, width))
            words = {key: value.expand(len(batch), -1) for key, value in tokens.items()}
            with torch.inference_mode(), torch.autocast(vision.device.split(":")[0], torch.bfloat16, enabled=low):
                output = vision.model(pixel_values=pixels, **words)
            scores = output.logits.float().sigmoid().amax(-1).tolist()
            boxes = output.pred_boxes.float().tolist()
            for (index, frame), of_frame, places in zip(batch, scores, boxes, strict=True):
                found = [(s, _corners(p, width, height)) for s, p in zip(of_frame, places, strict=True)]
                seen.append((index, frame.time_s, self._apart(found)))
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
        vision = load_model("Sam2VideoModel", self.tracker, self.device, self.dtype)
        size = vision.model.config.image_size
        session, lost = VideoSession(vision, "Sam2VideoInferenceSession", len(frames)), True
        for index, frame in frames.read(indices):
            height, width = frame.rgb.shape[:2]
            if lost and index in seeds:
                session = VideoSession(vision, "Sam2VideoInferenceSession", len(frames))
                _give_box(session, index, seeds[index][1], (size / width, size / height))
            output = session.step(index, vision.pixels([frame.rgb], (size, size)), reverse=indices.step < 0)
            mask = full_size_mask(output.pred_masks, (height, width))
            box = mask_box(mask)
            lost = box is None
            if box and self.several == "reject" and index in seeds and index != indices.start:
                self._check_agreement(box, seeds[index][1], tag, frame.time_s)
            score = float(output.object_score_logits.float().sigmoid().flatten()[0])
            track.add(frame.time_s, mask, score, self.plugin_name())

    def _check_agreement(self, followed: Box, found: Box, tag: str, time_s: float) -> None:
        if box_iou(followed, found) < self.agree_iou:
            raise several_found(tag, 2, time_s)


def _corners(place: list[float], width: int, height: int) -> Box:
    """A box as the detector gives it (centre and size as shares of the frame) in pixels, inside the frame."""
    x, y, w, h = place
    x0, x1 = (min(max(v, 0.0), 1.0) * width for v in (x - w / 2, x + w / 2))
    y0, y1 = (min(max(v, 0.0), 1.0) * height for v in (y - h / 2, y + h / 2))
    return x0, y0, x1, y1


def _give_box(session: VideoSession, index: int, box: Box, scale_xy: tuple[float, float]) -> None:
    """Prompt SAM 2 with a box: its two corners as points with the labels that SAM 2 has for them (2 and 3)."""
    torch = import_torch()
    x, y = scale_xy
    corners = torch.tensor([[[[box[0] * x, box[1] * y], [box[2] * x, box[3] * y]]]])
    labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
    number = session.state.obj_id_to_idx(1)
    session.state.add_point_inputs(number, index, {"point_coords": corners, "point_labels": labels})
    session.state.obj_with_new_inputs = [1]


def _packages_do_not_work() -> SeekerError:
    import_torch()
    import transformers

    here = f"use backend: transformers, which runs the same weights (transformers {transformers.__version__} is here)"
    if int(transformers.__version__.split(".")[0]) < 5:
        return SeekerError(f"backend: packages is not written yet; {here}")
    cause = "groundingdino-py 0.4.0 calls BertModel.get_extended_attention_mask, which transformers 5 no longer has"
    return SeekerError(f"backend: packages does not work: {cause}; {here}")
