"""sam3: SAM 3 finds all that fits the words and follows each, in one model. The paper's segmenter."""

from typing import Any, ClassVar

from pydantic import Field

from seekerdata.follower import Follower
from seekerdata.mask_track import MaskTrack
from seekerdata.video_session import VideoSession
from seekerdata.vision_model import (
    CENTRED,
    VisionModel,
    check_installed,
    full_size_mask,
    load_model,
    load_tokenizer,
)
from seekerdata.window_frames import WindowFrames

__all__ = ["Sam3"]


class Sam3(Follower):
    """Follows the target with SAM 3 from its tag alone; needs the `segment` extra and the weights.

    The session sees one frame at a time. An object that SAM 3 takes back in its first frames is left out.
    """

    to_save_memory: ClassVar[str] = "raise new_score, so that fewer things are followed"

    model: str = "facebook/sam3"
    """A folder, or a name on the hub, `@revision` behind it to pin one. The hub asks to accept its licence."""
    found_score: float = 0.5
    """Least score of a detection that keeps a followed thing alive; SAM 3's own."""
    new_score: float = 0.7
    """Least score of a detection that starts a new thing; SAM 3's own."""

    same_iou: float = Field(default=0.1, gt=0, le=1)
    """SAM 3's own limit for two masks of one thing; its own check is skipped where `kernels` is not installed."""

    def check_ready(self) -> None:
        check_installed(self.model)

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        """One track for each object of SAM 3, by its number."""
        vision = load_model("Sam3VideoModel", self.model, self.device, self.dtype)
        vision.model.score_threshold_detection = self.found_score
        vision.model.new_det_thresh = self.new_score
        session = VideoSession(vision, "Sam3VideoInferenceSession", len(frames))
        self._prompt(session, vision, tag)
        size = vision.model.config.image_size
        tracks: dict[int, MaskTrack] = {}
        output: Any = None
        for index, frame in frames.read(range(len(frames))):
            output = session.step(index, vision.pixels([frame.rgb], (size, size), CENTRED))
            for number in sorted(output.obj_id_to_mask.keys() - set(output.suppressed_obj_ids or ())):
                mask = full_size_mask(output.obj_id_to_mask[number], frame.rgb.shape[:2])
                score = float(output.obj_id_to_score[number])
                tracks.setdefault(number, MaskTrack()).add(frame.time_s, mask, score, self.plugin_name())
        taken_back = set(output.removed_obj_ids or ())
        return [track for number, track in tracks.items() if number not in taken_back]

    def _prompt(self, session: VideoSession, vision: VisionModel, tag: str) -> None:
        """Give the session the words, as tokens of the length that the model was made for."""
        length = vision.model.config.detector_config.text_config.max_position_embeddings
        tokens = load_tokenizer(self.model)(
            tag, return_tensors="pt", padding="max_length", max_length=length, truncation=True
        ).to(vision.device)
        number = session.state.add_prompt(tag)
        session.state.prompt_input_ids[number] = tokens.input_ids
        session.state.prompt_attention_masks[number] = tokens.attention_mask
