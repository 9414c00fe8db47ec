"""Open weights: pictures prepared as the models' own processors do, sessions that forget without changing a mask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seekerdata import video_session
from seekerdata.plugin import make
from seekerdata.video_session import VideoSession
from seekerdata.vision_model import CENTRED, VisionModel, load_model

pytestmark = pytest.mark.slow

Tiny = Callable[[str], Path]
FRAMES = 24


def pictures(count: int, size_wh: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    width, height = size_wh
    return [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("size_wh", [(1280, 720), (361, 640), (96, 64)])
def test_pictures_are_those_of_the_detectors_own_processor(size_wh: tuple[int, int], tiny: Tiny) -> None:
    import torch
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    (rgb,) = pictures(1, size_wh)
    theirs = GroundingDinoImageProcessorPil()(images=Image.fromarray(rgb), return_tensors="pt")["pixel_values"]
    size_hw = make("segmenters", "groundingdino_sam2")._size_hw(*rgb.shape[:2])
    ours = VisionModel(None, "cpu", torch.float32).pixels([rgb], size_hw)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 1.01 / 255 / 0.224, "one grey level at most"


def test_weights_are_loaded_once_in_a_process(tiny: Tiny) -> None:
    folder = str(tiny("sam2"))
    assert load_model("Sam2VideoModel", folder, "cpu", "float32") is load_model(
        "Sam2VideoModel", folder, "cpu", "float32"
    )
    one, other = (make("segmenters", {"use": "groundingdino_sam2", "tracker": folder, "device": "cpu"}) for _ in "ab")
    assert one._tracker().vision is other._tracker().vision


def seeded(state: Any, index: int) -> Any:
    """A SAM 2 session with one box on one frame."""
    import torch

    corners = torch.tensor([[[[30.0, 40.0], [150.0, 200.0]]]])
    prompt = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32)}
    state.add_point_inputs(state.obj_id_to_idx(1), index, prompt)
    state.obj_with_new_inputs = [1]
    return state


@pytest.mark.parametrize("reverse", [False, True])
def test_a_session_that_forgets_gives_the_masks_of_one_that_keeps_all(
    reverse: bool, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import Sam2VideoInferenceSession

    vision = load_model("Sam2VideoModel", str(tiny("sam2")), "cpu", "float32")
    pixels = [vision.pixels([rgb], (256, 256)) for rgb in pictures(FRAMES, (96, 64))]
    order = list(range(FRAMES))[:: -1 if reverse else 1]
    whole = seeded(Sam2VideoInferenceSession(video=torch.cat(pixels), dtype=torch.float32), order[0])
    expected = [o.pred_masks for o in vision.model.propagate_in_video_iterator(whole, order[0], reverse=reverse)]

    def masks() -> list[Any]:
        session = VideoSession(vision, "Sam2VideoInferenceSession", FRAMES)
        seeded(session.state, order[0])
        made = [session.step(n, pixels[n], reverse=reverse).pred_masks for n in order]
        assert not [f for f in session.state.processed_frames.values() if f is not None]
        assert len(session.state.output_dict_per_obj[0]["non_cond_frame_outputs"]) <= video_session.KEPT_FRAMES + 1
        return made

    assert all(torch.equal(one, other) for one, other in zip(masks(), expected, strict=True))
    monkeypatch.setattr(video_session, "KEPT_FRAMES", 3)
    assert not torch.equal(masks()[-1], expected[-1]), "forgetting more would change them: the test can tell"


def test_sam3_takes_back_the_same_objects(tiny: Tiny) -> None:
    import torch
    from transformers import Sam3VideoInferenceSession

    vision = load_model("Sam3VideoModel", str(tiny("sam3")), "cpu", "float32")
    vision.model.score_threshold_detection = vision.model.new_det_thresh = 0.01
    pixels = [vision.pixels([rgb], (112, 112), CENTRED) for rgb in pictures(FRAMES, (96, 64))]
    whole = Sam3VideoInferenceSession(video=torch.cat(pixels), dtype=torch.float32)
    session = VideoSession(vision, "Sam3VideoInferenceSession", FRAMES)
    for state in (whole, session.state):
        number = state.add_prompt("dog")
        state.prompt_input_ids[number] = torch.tensor([[4] + [0] * 31])
        state.prompt_attention_masks[number] = torch.tensor([[1] + [0] * 31])
    expected = list(vision.model.propagate_in_video_iterator(whole))
    made = [session.step(n, pixels[n]) for n in range(FRAMES)]
    assert made[-1].removed_obj_ids == expected[-1].removed_obj_ids
    for one, other in zip(made, expected, strict=True):
        assert one.obj_id_to_mask.keys() == other.obj_id_to_mask.keys()
        assert all(torch.equal(mask, other.obj_id_to_mask[number]) for number, mask in one.obj_id_to_mask.items())
