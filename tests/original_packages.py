"""Run by the Python of an environment with the original packages: tiny weights for them, then the segmenter on a clip.

python original_packages.py FOLDER leaves what it found in FOLDER/report.json; test_original_models.py reads it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from clips import make_clip
from tiny_models import WORDS

FRAMES, SIDE, STEPS = 24, 256, 21


def make_torchvision_importable() -> Any:
    """PyPI's torchvision is a CUDA build, whose operators do not load beside torch for the CPU: declare them first.

    What it returns must live as long as they are needed.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for module in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library


def tiny_bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir()
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS.get(n, f"[unused{n}]") for n in range(2010)) + "\n")
    BertTokenizer(str(vocabulary)).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=2010, **sizes)).save_pretrained(folder)


def tiny_detector(folder: Path) -> None:
    """Grounding DINO with 20 queries; its Swin-T and its width cannot be made smaller."""
    import groundingdino
    import torch
    from groundingdino.models import build_model
    from groundingdino.util.slconfig import SLConfig

    own = Path(groundingdino.__file__).parent / "config/GroundingDINO_SwinT_OGC.py"
    small = "enc_layers = 1\ndec_layers = 2\ndim_feedforward = 32\nnum_queries = 20\n"
    (folder / "detector.py").write_text(own.read_text() + small)
    settings = SLConfig.fromfile(str(folder / "detector.py"))
    settings.text_encoder_type = str(folder / "bert")
    state = {f"module.{key}": value for key, value in build_model(settings).state_dict().items()}
    torch.save({"model": state}, folder / "detector.pth")


def tiny_tracker(folder: Path) -> None:
    import sam2
    import torch
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf
    from sam2.build_sam import build_sam2_video_predictor

    config = OmegaConf.load(Path(sam2.__file__).parent / "configs/sam2.1/sam2.1_hiera_t.yaml")
    model = config.model
    trunk = {"embed_dim": 16, "stages": [1, 1, 2, 1], "global_att_blocks": [3]}
    model.image_size = SIDE
    model.image_encoder.trunk = OmegaConf.merge(model.image_encoder.trunk, trunk)
    model.image_encoder.neck.backbone_channel_list = [128, 64, 32, 16]
    model.memory_attention.num_layers = 1
    model.memory_attention.layer.dim_feedforward = 64
    for attention in (model.memory_attention.layer.self_attention, model.memory_attention.layer.cross_attention):
        attention.feat_sizes = [SIDE // 16, SIDE // 16]
    (folder / "tracker.yaml").write_text("# @package _global_\n" + OmegaConf.to_yaml(config))
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.2"):
        state = build_sam2_video_predictor("tracker.yaml", device="cpu").state_dict()
    torch.save({"model": state}, folder / "tracker.pt")


def segmenter(folder: Path, **settings: Any) -> Any:
    from seekerdata.plugin import make

    places = {
        "detector": "detector.pth",
        "detector_config": "detector.py",
        "text_encoder": "bert",
        "tracker": "tracker.pt",
        "tracker_config": "tracker.yaml",
    }
    low = {"box_score": 0.01, "several": "best", "short_side_px": 64, "long_side_px": 128, "device": "cpu"}
    files = {key: str(folder / name) for key, name in places.items()}
    return make("segmenters", {"use": "groundingdino_sam2", "backend": "packages", **files, **low, **settings})


def found(folder: Path, **settings: Any) -> Any:
    """What the segmenter finds on the clip, or the error's text."""
    from seekerdata.errors import ItemError, SeekerError
    from seekerdata.sample import Sample, Target, VideoRef
    from seekerdata.video import Video

    question = Sample(
        id="q",
        video=VideoRef(path="clip.mp4", sha256="0" * 64, duration_s=20.0, size_wh=(96, 64), fps=10.0),
        question="Where does it go?",
        answer="right",
        target=Target(tag="white square", window_s=(3.0, 12.0)),
    )
    by = segmenter(folder, **settings)
    try:
        by.check_ready()
        return by.segment(question, Video(folder / "clip.mp4")).model_dump(mode="json")
    except (ItemError, SeekerError) as error:
        return f"{type(error).__name__}: {error}"


def agreement(folder: Path, reverse: bool) -> dict[str, float]:
    """A streamed session beside the package's own over a folder: pixels on which they agree, pixels inside."""
    import torch
    from PIL import Image

    tracker = segmenter(folder)._tracker()
    model, box = tracker._vision.model, (30.0, 40.0, 150.0, 200.0)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(FRAMES)]
    order = range(STEPS - 1, -1, -1) if reverse else range(FRAMES - STEPS, FRAMES)
    frames = folder / f"frames{reverse}"
    frames.mkdir()
    for n, rgb in enumerate(pictures):  # without loss: the package looks at the name only
        Image.fromarray(rgb).save(frames / f"{n}.jpg", format="png")
    with torch.inference_mode():
        state = model.init_state(str(frames))
        model.add_new_points_or_box(state, frame_idx=order[0], obj_id=1, box=np.array(box, np.float32))
        theirs = {n: masks[0, 0].numpy() > 0 for n, _, masks in model.propagate_in_video(state, reverse=reverse)}
    tracking = tracker.start(FRAMES, order[0], box, (SIDE, SIDE))
    ours = {n: tracking.step(n, pictures[n], reverse)[0] for n in order}
    assert ours.keys() == theirs.keys() and len(ours) == STEPS
    return {
        "agree": float(np.mean([(ours[n] == theirs[n]).mean() for n in order])),
        "inside": float(np.mean([ours[n].mean() for n in order])),
        "kept": len(tracking._state["output_dict_per_obj"][0]["non_cond_frame_outputs"]),
    }


def main(folder: Path) -> None:
    operators = make_torchvision_importable()
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    make_clip(folder / "clip.mp4", seconds=20, size=(96, 64))
    for make in (lambda f: tiny_bert(f / "bert"), tiny_detector, tiny_tracker):
        make(folder)
    (folder / "empty.pt").write_bytes(b"")
    torch.save({"model": {}}, folder / "bare.pt")
    report = {
        "found": found(folder),
        "again": found(folder),
        "one_at_a_time": found(folder, batch_frames=1),
        "bfloat16": found(folder, dtype="bfloat16"),
        "nothing": found(folder, box_score=1.1),
        "several": found(folder, several="reject", same_iou=1.0),
        "no_file": found(folder, tracker=str(folder / "none.pt")),
        "empty": found(folder, tracker=str(folder / "empty.pt")),
        "bare": found(folder, tracker=str(folder / "bare.pt")),
        "no_config": found(folder, detector_config="GroundingDINO_None"),
        "agreement": [agreement(folder, reverse) for reverse in (False, True)],
    }
    (folder / "report.json").write_text(json.dumps(report))
    del operators


if __name__ == "__main__":
    main(Path(sys.argv[1]))
