"""VideoSession: a SAM 2 or SAM 3 session over the frames of a window that holds the pixels of one frame at a time.

A session that is given a whole video keeps 12.6 MB of pixels and 6 MB of memory a frame. This one forgets both as soon
as the model can no longer look at them; the model is told the true number of frames, so its masks stay the same.
"""

from typing import Any

from seekerdata.vision_model import VisionModel

KEPT_FRAMES = 16
"""How far back a model looks: 16 object pointers in SAM 2 and SAM 3, and 6 memories."""


class VideoSession:
    """One model's session.

    Attributes:
        state: transformers' own session object, for what only one model has (texts, boxes).
    """

    def __init__(self, vision: VisionModel, kind: str, count: int) -> None:
        import transformers

        self.vision = vision
        self.state = getattr(transformers, kind)(
            inference_device=vision.device,
            inference_state_device=vision.device,
            video_storage_device=vision.device,
            dtype=vision.dtype,
        )
        self.state.processed_frames = dict.fromkeys(range(count))

    def step(self, index: int, pixels: Any, reverse: bool = False) -> Any:
        """The model's output for the frame `index`, given its pixels (1, 3, h, w)."""
        self.state.add_new_frame(pixels, index)
        output = self.vision.model(self.state, frame_idx=index, reverse=reverse)
        self.state.processed_frames[index] = None
        for outputs in self.state.output_dict_per_obj.values():
            tracked = outputs["non_cond_frame_outputs"]
            for old in [n for n in tracked if abs(n - index) > KEPT_FRAMES]:
                del tracked[old]
        return output
