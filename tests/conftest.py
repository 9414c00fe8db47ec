"""Fixtures that several packages share: a small clip, a sample about it, a run on the procedural world."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_models
from clips import make_clip
from servers.small_hub import TOKEN, SmallHub

from seekerdata.observation import PromptFrame
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.video import Video


def pytest_collection_finish() -> None:
    """What libraries and tests have loaded stays to the end: no later collection of garbage walks through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 20 s at 10 fps, 96x64."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=20, size=(96, 64))


@pytest.fixture
def video(clip_path: Path) -> Video:
    return Video(clip_path)


@pytest.fixture
def prompts() -> list[PromptFrame]:
    """Two marked frames, the second without a known time."""
    pictures = [PIL.Image.fromarray(np.full((64, 96, 3), level, np.uint8)) for level in (40, 90)]
    return [PromptFrame(pictures[0], 5.0), PromptFrame(pictures[1])]


@pytest.fixture
def sample(clip_path: Path) -> Sample:
    """A multiple-choice question about seconds 8 to 11 of the clip."""
    target = Target(tag="white square", unique=True, window_s=(8.0, 11.0), evidence="it is white")
    return Sample(
        id="q1",
        video=VideoRef(path=clip_path.name, sha256="0" * 64, duration_s=20.0, size_wh=(96, 64), fps=10.0),
        question="What colour is the target in the highlighted box?",
        options=("red", "white", "blue", "green"),
        answer="B",
        target=target,
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished build on the smallest world, frames embedded."""
    from seekerdata.build import BuildRecipe, build

    recipe = {
        "name": "small",
        "out": tmp_path_factory.mktemp("run") / "small",
        "source": {"use": "world", "level": 1, "videos": 10, "questions_per_video": 1},
        "filter": {"by": "rules", "allow": ["counting"]},
        "select": {"rl_share": 0.3},
        "dataset": {"media": "embedded"},
        "engine": {"workers": 1},
    }
    report = build(BuildRecipe.model_validate(recipe))
    assert report.rows == {"qa": 10, "sft": 10, "rl": 3}
    return report.out


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Qwen3-VL, not trained."""
    pytest.importorskip("trl", reason="needs the train extra")
    from seekertrain.tiny import init_tiny

    folder = tmp_path_factory.mktemp("tiny")
    init_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model by name (`sam2`, `sam3`, `grounding_dino`), made on first use."""
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason=f"needs {package}, of the extra [segment]")
    import torch

    torch.set_num_threads(1)  # tiny matrices: more threads only wait for each other
    root = tmp_path_factory.mktemp("weights")

    def folder(name: str) -> Path:
        return root / name if (root / name).is_dir() else getattr(tiny_models, f"tiny_{name}")(root / name)

    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SmallHub]:
    """A hub that this process takes for the real one, an empty cache, and no waiting."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("time.sleep", lambda seconds, wait=time.sleep: wait(min(seconds, 0.005)))
    with SmallHub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.url)
        files = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        yield hub
