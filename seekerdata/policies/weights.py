"""weights: a Qwen-VL model of a folder or the hub plays the tools, in this process, as it was trained.

Its weights are loaded once in a process, when it is first asked. It is shown pictures, which inspect_ai's `hf/` is not.
"""

from functools import lru_cache
from threading import Lock
from typing import Any

from pydantic import Field

from seekerdata.chat_model import Kept, commit, load_model
from seekerdata.player import Player
from seekerdata.processor import family, load_processor
from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample
from seekerdata.vision_model import check_installed, named_device, on_device

__all__ = ["Weights"]

_loading = Lock()


class Weights(Policy):
    """A model whose weights are loaded here; needs the `weights` extra. Sees only the conversation."""

    undecisive = frozenset({"device", "batch_size"})

    path: str
    """A hub id or a folder, of the Qwen3-VL or Qwen2.5-VL family."""
    revision: str | None = None
    """Of a hub id: a branch, a tag, a commit."""
    dtype: Kept = "auto"
    """What the weights are kept in; `auto`: as their files have them."""
    device: str = "auto"
    """cuda, cuda:1, cpu; `auto`: a GPU if there is one."""
    attention: str = "sdpa"
    """sdpa, eager, flash_attention_2, or a kernel of the hub."""
    batch_size: int = Field(default=64, ge=1)
    """Plays whose next turns are written at once, if so many wait."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Tokens of one turn; a turn that is cut there calls nothing and answers nothing."""
    temperature: float = Field(default=0.0, ge=0)
    """0: the likeliest token each time."""

    @property
    def loads_weights(self) -> bool:
        return True

    def check_ready(self) -> None:
        check_installed(self.path)
        family(self.path, self.revision)

    def facts(self) -> dict[str, str]:
        return {"model": self.path}

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The model's next turn; `sample` is not read.

        Raises:
            SeekerError: torch or transformers is not here, or the weights cannot be loaded.
            ItemError: as `Player.reply`.
        """
        return await self.load().reply(conversation, sample)

    def load(self) -> Player:
        """Who plays with its weights; loaded once for all that ask alike. Raises as `reply`."""
        with _loading:
            return _player(self)


@lru_cache(maxsize=4)
def _player(asked: Weights) -> Player:
    """One for all who ask alike, so that those who wait at one moment are answered together."""
    model, processor = _loaded(asked.path, asked.revision, asked.dtype, named_device(asked.device), asked.attention)
    how = asked.model_dump(include={"batch_size", "max_new_tokens", "temperature"})
    return Player(model=model, processor=processor, **how)


@lru_cache(maxsize=4)
def _loaded(path: str, revision: str | None, dtype: Kept, device: str, attention: str) -> tuple[Any, Any]:
    """Model and processor of one commit."""
    family(path, revision)
    revision = commit(path, revision) or revision
    processor = load_processor(path, revision)
    return on_device(load_model(path, revision, dtype, attention), device, path), processor
