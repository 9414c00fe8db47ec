"""BoxFinder, BoxTracker: Grounding DINO finds boxes by words, SAM 2 follows one of them. Here through transformers.

`original_models.py` holds the same two from their own packages; a segmenter meets either by the same methods.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seekerdata.instance import Box
from seekerdata.video_session import VideoSession
from seekerdata.vision_model import Dtype, VisionModel, full_size_mask, load_model, load_tokenizer, low_precision

Found = tuple[float, Box]
"""A detection: its score, its box in pixels of the picture."""


class BoxFinder:
    """Grounding DINO. The weights stay in float32; in bfloat16 it computes where that is safe (autocast).

    Raises:
        SeekerError: packages or weights are not there.
    """

    def __init__(self, weights: str, device: str, dtype: Dtype) -> None:
        self.vision = load_model("GroundingDinoForObjectDetection", weights, device, "float32")
        self._low = low_precision(dtype, self.vision.device)
        self._tokenizer = load_tokenizer(weights)

    def find(self, rgbs: Sequence[np.ndarray], size_hw: tuple[int, int], words: str) -> list[list[Found]]:
        """All boxes, sure or not, of each picture (uint8 H, W, 3, equal sizes), looked at together in this size."""
        import torch

        pixels = self.vision.pixels(rgbs, size_hw)
        tokens = self._tokenizer(words, return_tensors="pt", truncation=True, max_length=256)
        tokens = {key: value.to(self.vision.device).expand(len(rgbs), -1) for key, value in tokens.items()}
        with torch.inference_mode(), self._low:
            output = self.vision.model(pixel_values=pixels, **tokens)
        return found_boxes(output.logits, output.pred_boxes, rgbs)


class BoxTracker:
    """SAM 2 video. Raises SeekerError if packages or weights are not there."""

    def __init__(self, weights: str, device: str, dtype: Dtype) -> None:
        self.vision = load_model("Sam2VideoModel", weights, device, dtype)

    def start(self, count: int, index: int, box: Box, size_wh: tuple[int, int]) -> "Tracking":
        """Follow the box (in pixels of frames of this size) from the frame `index` of `count`."""
        return Tracking(self.vision, count, index, box, size_wh)


class Tracking:
    """One box being followed."""

    def __init__(self, vision: VisionModel, count: int, index: int, box: Box, size_wh: tuple[int, int]) -> None:
        import torch

        self._session = VideoSession(vision, "Sam2VideoInferenceSession", count)
        self._size = vision.model.config.image_size
        x, y = (self._size / side for side in size_wh)
        corners = torch.tensor([[[[box[0] * x, box[1] * y], [box[2] * x, box[3] * y]]]])
        labels = torch.tensor([[[2, 3]]], dtype=torch.int32)  # SAM 2's own for the two corners of a box
        state = self._session.state
        state.add_point_inputs(state.obj_id_to_idx(1), index, {"point_coords": corners, "point_labels": labels})
        state.obj_with_new_inputs = [1]

    def step(self, index: int, rgb: np.ndarray, reverse: bool) -> tuple[np.ndarray, float]:
        """The mask (H, W bool) on the next frame, and how sure it is that the thing is there (0 to 1)."""
        pixels = self._session.vision.pixels([rgb], (self._size, self._size))
        output = self._session.step(index, pixels, reverse)
        score = float(output.object_score_logits.float().sigmoid().flatten()[0])
        return full_size_mask(output.pred_masks, rgb.shape[:2]), score


def found_boxes(logits: Any, boxes: Any, rgbs: Sequence[np.ndarray]) -> list[list[Found]]:
    """Grounding DINO's output (N, queries, tokens) and (N, queries, 4) as scores and boxes in pixels."""
    height, width = rgbs[0].shape[:2]
    scores, places = logits.float().sigmoid().amax(-1).tolist(), boxes.float().tolist()
    return [
        [(score, _corners(place, width, height)) for score, place in zip(*of_picture, strict=True)]
        for of_picture in zip(scores, places, strict=True)
    ]


def _corners(place: list[float], width: int, height: int) -> Box:
    """A box as the detector gives it (centre and size as shares of the frame) in pixels, inside the frame."""
    x, y, w, h = place
    x0, x1 = (min(max(v, 0.0), 1.0) * width for v in (x - w / 2, x + w / 2))
    y0, y1 = (min(max(v, 0.0), 1.0) * height for v in (y - h / 2, y + h / 2))
    return x0, y0, x1, y1
