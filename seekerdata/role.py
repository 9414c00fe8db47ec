"""Role: a model that a recipe names: where it stands there, and whether frames are shown to it. Found by walking."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from seekerdata.errors import ItemError, SeekerError
from seekerdata.models import ModelSettings, ask, connect
from seekerdata.plugin import Plugin


class Role(NamedTuple):
    """One place of a recipe that names a model, such as `solve.by.model`."""

    path: str
    settings: ModelSettings
    frames: bool
    """Whether it will be shown pictures."""


class Probed(NamedTuple):
    """What one model answered when asked once; `error` is empty if it did."""

    model: str
    roles: tuple[str, ...]
    frames: bool
    error: str


def roles(value: Any, path: str = "", frames: bool = False) -> Iterator[Role]:
    """Every model anywhere inside a recipe, a stage or a policy, in the order of its fields."""
    if isinstance(value, ModelSettings):
        yield Role(path, value, frames)
    elif isinstance(value, BaseModel):
        shown = value.shown_frames if isinstance(value, Plugin) else frozenset()
        for name in type(value).model_fields:
            yield from roles(getattr(value, name), f"{path}.{name}".lstrip("."), frames or name in shown)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from roles(inner, f"{path}.{name}".lstrip("."), frames)
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            yield from roles(inner, f"{path}.{n}".lstrip("."), frames)


async def probe_all(named: Sequence[Role]) -> list[Probed]:
    """Ask each model once, about a picture if any of its roles will show it one; equal settings are one model."""
    probed = []
    for settings in dict.fromkeys(role.settings for role in named):
        mine = [role for role in named if role.settings == settings]
        frames, error = any(role.frames for role in mine), ""
        try:
            await probe(settings, pictures=frames)
        except SeekerError as problem:
            error = str(problem)
        probed.append(Probed(settings.model, tuple(role.path for role in mine), frames, error))
    return probed


async def probe(settings: ModelSettings, pictures: bool = False) -> None:
    """Ask for one word, once, before any work; with `pictures` about a small picture. Costs a few tokens.

    Raises:
        SeekerError: one line that says what is wrong.
    """
    once = settings.model_copy(update={"retries": 0, "timeout_s": min(settings.timeout_s, 60), "max_tokens": 16})
    try:
        connect(once)
        from inspect_ai.model import ChatMessageUser, Content, ContentImage, ContentText

        content: list[Content] = [ContentText(text="Say OK.")]
        if pictures:
            content.insert(0, ContentImage(image=_grey_square()))
        await ask(once, [ChatMessageUser(content=content)])
    except ItemError as error:
        hint = " (can it see pictures?)" if pictures else ""
        raise SeekerError(f"no answer from {error.message}{hint}") from None


def _grey_square() -> str:
    """A picture that costs next to nothing, as a data URI."""
    import numpy as np

    from seekerdata.workspace import encode_jpeg, jpeg_uri

    return jpeg_uri(encode_jpeg(np.full((64, 64, 3), 128, np.uint8)))
