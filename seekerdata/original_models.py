"""OriginalFinder, OriginalTracker: Grounding DINO and SAM 2 from their own packages, groundingdino-py and sam2.

They need transformers 4 and so an environment of their own (requirements-packages.txt). All weights are files: nothing
here asks the network. The methods are those of `box_models.py`, and so are the pictures that the models are given.
"""

import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from warnings import filterwarnings

import numpy as np

from seekerdata.box_models import Found, found_boxes
from seekerdata.errors import SeekerError
from seekerdata.instance import Box
from seekerdata.video_session import KEPT_FRAMES
from seekerdata.vision_model import (
    UNUSABLE,
    Dtype,
    VisionModel,
    check_complete,
    first_line,
    full_size_mask,
    low_precision,
    named_device,
    on_device,
)

INSTALL = "pip install -r requirements-packages.txt, as docs/own-videos.md says"

WEIGHTS = "docs/own-videos.md says which files"

BROKEN = (*UNUSABLE, ImportError, AttributeError, AssertionError, SyntaxError, EOFError, UnpicklingError)
"""What the packages raise for a config or weights that they cannot read, or beside a torchvision that does not fit."""

PACKAGES = {"groundingdino-py": "groundingdino", "sam2": "sam2", "hydra-core": "hydra", "torchvision": "torchvision"}
"""What must be installed, and the modules that say so."""


def check_packages(**files: str) -> None:
    """What can be known without loading anything.

    Args:
        **files: by the name of the setting, the files and folders that it names.

    Raises:
        SeekerError: the two packages are not installed, or not beside a transformers that they work with, or a file
            is not there.
    """
    other = "or use backend: transformers, which runs the same weights"
    try:
        transformers = version("transformers")
    except PackageNotFoundError:
        raise SeekerError(f"backend: packages needs transformers 4.57: {INSTALL}; {other}") from None
    if int(transformers.split(".")[0]) >= 5:
        cause = "groundingdino-py 0.4.0 calls BertModel.get_extended_attention_mask, which transformers 5 no longer has"
        raise SeekerError(
            f"backend: packages does not work beside transformers {transformers}: {cause}; make an environment of its "
            f"own ({INSTALL}), {other}"
        )
    lacking = [name for name, module in PACKAGES.items() if find_spec(module) is None]
    if lacking:
        raise SeekerError(f"backend: packages needs {', '.join(lacking)}: {INSTALL}; {other}")
    for setting, path in files.items():
        if not _place(path).exists() or not path:
            raise SeekerError(f"backend: packages needs {setting}: a file, and '{path}' is none; {WEIGHTS}")


class OriginalFinder:
    """Grounding DINO of groundingdino-py, in float32 like the package's own examples.

    Args:
        weights: a `.pth` file as the authors publish it.
        config: a `.py` file, or the name of one that the package brings (`GroundingDINO_SwinT_OGC`).
        text_encoder: a folder with BERT and its tokenizer.
        device: as in a recipe.

    Raises:
        SeekerError: packages or files are not there or not usable.
    """

    def __init__(self, weights: str, config: str, text_encoder: str, device: str) -> None:
        check_packages()
        self._vision = _detector(weights, config, text_encoder, named_device(device))

    def find(self, rgbs: Sequence[np.ndarray], size_hw: tuple[int, int], words: str) -> list[list[Found]]:
        """All boxes, sure or not, of each picture (uint8 H, W, 3, equal sizes), looked at together in this size."""
        import torch

        pixels = self._vision.pixels(rgbs, size_hw)
        with torch.inference_mode():
            output = self._vision.model(pixels, captions=[words] * len(rgbs))
        return found_boxes(output["pred_logits"], output["pred_boxes"], rgbs)


class OriginalTracker:
    """SAM 2 video of the package sam2.

    Args:
        weights: a `.pt` file as the authors publish it.
        config: a `.yaml` file, or the name of one that the package brings (`configs/sam2.1/sam2.1_hiera_l.yaml`).
        device: as in a recipe.
        dtype: as in a recipe.

    Raises:
        SeekerError: packages or files are not there or not usable.
    """

    def __init__(self, weights: str, config: str, device: str, dtype: Dtype) -> None:
        check_packages()
        self._vision, self._blank = _tracker(weights, config, named_device(device))
        self._low = low_precision(dtype, self._vision.device)

    def start(self, count: int, index: int, box: Box, size_wh: tuple[int, int]) -> "OriginalTracking":
        """Follow the box (in pixels of frames of this size) from the frame `index` of `count`."""
        width, height = size_wh
        state = copy.deepcopy(self._blank) | {"num_frames": count, "video_height": height, "video_width": width}
        return OriginalTracking(self._vision, self._low, state, box)


class OriginalTracking:
    """One box being followed, in a session that holds the pixels of one frame at a time, like `VideoSession`.

    The session counts the frames in the order in which it sees them, also backwards: its looks back depend on how far
    apart frames are and not on their numbers, and its own backward mode would leave out the first frame.
    """

    def __init__(self, vision: VisionModel, low: Any, state: dict[str, Any], box: Box) -> None:
        self._vision, self._low, self._state, self._box = vision, low, state, box
        self._seen = 0

    def step(self, index: int, rgb: np.ndarray, reverse: bool) -> tuple[np.ndarray, float]:
        """The mask (H, W bool) on the next frame, and how sure it is that the thing is there (0 to 1)."""
        import torch

        model, now = self._vision.model, self._seen
        self._state["images"] = {now: self._vision.pixels([rgb], (model.image_size, model.image_size))[0]}
        with torch.inference_mode(), self._low:
            if now == 0:
                model.add_new_points_or_box(self._state, frame_idx=0, obj_id=1, box=np.array(self._box, np.float32))
            for _ in model.propagate_in_video(self._state, start_frame_idx=now, max_frame_num_to_track=0):
                pass
        made = self._state["output_dict_per_obj"][0]
        output = made["cond_frame_outputs" if now == 0 else "non_cond_frame_outputs"][now]
        made["non_cond_frame_outputs"].pop(now - KEPT_FRAMES - 1, None)
        self._seen += 1
        score = float(output["object_score_logits"].float().sigmoid().flatten()[0])
        return full_size_mask(output["pred_masks"], rgb.shape[:2]), score


@lru_cache(maxsize=2)
def _detector(weights: str, config: str, text_encoder: str, device: str) -> VisionModel:
    import torch

    with _usable("Grounding DINO", weights), redirect_stdout(StringIO()):  # it prints what it loads
        import groundingdino
        from groundingdino.models import build_model
        from groundingdino.util.slconfig import SLConfig

        for package in ("groundingdino", "timm", "transformers"):  # what old packages should have done differently
            filterwarnings("ignore", category=FutureWarning, module=package)
        settings = SLConfig.fromfile(str(_config(config, Path(groundingdino.__file__).parent / f"config/{config}.py")))
        settings.text_encoder_type = str(_place(text_encoder))
        settings.use_checkpoint = settings.use_transformer_ckpt = False  # they save memory in training only
        model = _filled(build_model(settings), weights, "Grounding DINO")
    return VisionModel(on_device(model, device, weights), device, torch.float32)


@lru_cache(maxsize=2)
def _tracker(weights: str, config: str, device: str) -> tuple[VisionModel, dict[str, Any]]:
    """The model, and a session's state before it has seen a frame."""
    import torch

    with _usable("SAM 2", weights):
        import sam2
        from hydra import initialize_config_dir
        from hydra.core.global_hydra import GlobalHydra
        from sam2.build_sam import build_sam2_video_predictor

        file = _config(config, Path(sam2.__file__).parent / config).absolute()
        GlobalHydra.instance().clear()  # sam2 points it at its own folder
        with initialize_config_dir(str(file.parent), version_base="1.2"):
            model = _filled(build_sam2_video_predictor(file.name, device="cpu"), weights, "SAM 2")
    model.fill_hole_area = 0  # needs a kernel that is seldom built: the masks must not depend on it
    model = on_device(model, device, weights)
    return VisionModel(model, device, torch.float32), _blank_state(model)


def _blank_state(model: Any) -> dict[str, Any]:
    """A session's state as the package makes it, from one small picture, since it wants a folder of them."""
    from PIL import Image
    from sam2 import sam2_video_predictor
    from sam2.utils import misc

    misc.tqdm = sam2_video_predictor.tqdm = lambda steps, **_: steps  # or each frame would draw a bar of progress
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (8, 8)).save(Path(folder) / "0.jpg")
        state = model.init_state(folder)
    return {**state, "images": {}, "cached_features": {}}


def _filled(model: Any, weights: str, kind: str) -> Any:
    """The model with the parameters of a file. Keys that the model does not have (of its training) are left out."""
    import torch

    content = torch.load(_place(weights), map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or "model" not in content:
        raise SeekerError(f"{weights} does not hold the weights of a {kind}: it has no entry 'model'")
    parameters = {key.removeprefix("module."): value for key, value in content["model"].items()}
    check_complete(model, model.load_state_dict(parameters, strict=False).missing_keys, weights, kind)
    return model


def _place(path: str) -> Path:
    return Path(path).expanduser()


def _config(config: str, brought: Path) -> Path:
    """The file of a config: one that the package brings, or the user's own."""
    return brought if brought.is_file() else _place(config)


@contextmanager
def _usable(kind: str, weights: str) -> Iterator[None]:
    """Turns what the packages raise for files that they cannot use into one line for the user."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (*BROKEN, HydraException, OmegaConfBaseException) as error:
        text = f"{kind} cannot be made from {weights} with backend: packages: {first_line(error)}"
        hint = "; install the torchvision that fits torch, from the same place" if "torchvision" in text else ""
        raise SeekerError(text + hint) from None
