"""OwnWeights: a model `hf/<folder or hub id>` of an evaluation, played in this process, rendered as it was trained.

The policy that plays it is seekerdata's `weights`; a preset says how long a turn may be and how it is drawn.
"""

from typing import Any

from seekerdata.chat_model import HF as HF
from seekerdata.chat_model import identity, place
from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekerdata.plugin import make
from seekerdata.vision_model import named_device
from seekereval.presets import Preset

PACKAGES = ("torch", "transformers")
"""Versions that decide what such a model says."""


def load(model: ModelSettings, preset: Preset) -> None:
    """Load the model before a run, so that what is wrong with it is said before anything is asked.

    Raises:
        SeekerError: there is no such model, it is of another family, packages are missing, its weights are torn, or it
            has a server.
    """
    if model.base_url:
        raise SeekerError(f"{model.model} is played in this process; for a server name it openai-api/<name>/<model>")
    if preset.calls != "native":
        raise SeekerError(f"{model.model}: its own template says how tools are called; leave --calls out")
    asked = player(model.model, preset)
    asked.check_ready()
    asked.load()


def player(name: str, preset: Preset) -> Any:
    """The policy that plays `hf/...`; those of equal settings share weights and answer in one batch."""
    path, revision = place(name)
    how = {"max_new_tokens": preset.max_tokens, "temperature": preset.temperature or 0.0}
    return make("policies", {"use": "weights", "path": path, "revision": revision, **how})


def weights_of(model: ModelSettings) -> dict[str, Any]:
    """What tells its weights from others, for the manifest."""
    return identity(*place(model.model))


def device_of() -> str:
    """Where it is played, for the manifest."""
    import torch

    device = named_device("auto")
    return torch.cuda.get_device_name(device) if device != "cpu" else device
