"""Observation: what one look shows a model: stamped frames as blocks, and the pictures they refer to.

Every frame carries its true time. The same reference always gives the same pixels (`materialise`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.sampling import Sampling
from seekerdata.trajectory import Block, Image, Text
from seekerdata.video import Clip, Frame, Video, fit_size


@dataclass(frozen=True)
class PromptFrame:
    """A frame with a visual prompt drawn on it. `time_s` is None where a benchmark does not say it."""

    picture: PIL.Image.Image
    time_s: float | None = None


@dataclass(frozen=True)
class Observation:
    """Blocks in the order the model sees them, and one picture for each `Image` block. `error` is set when a tool
    call was refused; the blocks then hold that text."""

    blocks: tuple[Block, ...]
    pictures: tuple[PIL.Image.Image, ...] = ()
    error: str = ""

    def content(self) -> list[dict[str, Any]]:
        """The blocks as message content with pictures inside: what TRL takes from a tool."""
        pictures = iter(self.pictures)
        return [
            {"type": "text", "text": block.text}
            if isinstance(block, Text)
            else {"type": "image", "image": next(pictures)}
            for block in self.blocks
        ]


def stamp(time_s: float | None) -> str:
    """The text before a frame, `<12.0 seconds>`, in the form that Qwen3-VL knows; empty time: no stamp."""
    return "" if time_s is None else f"<{time_s:.1f} seconds>"


def picture_hash(picture: PIL.Image.Image) -> str:
    """First 16 hex digits of the SHA-256 of the RGB bytes."""
    return hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()[:16]


def look_at_video(clip: Clip, sampling: Sampling, max_pixels: int | None) -> Observation:
    """Stamped frames of a clip, each at most `max_pixels` large.

    Raises:
        ItemError: the video gives no frame there.
    """
    frames = clip.frames(sampling, max_pixels=max_pixels)
    return stamped("video", [(f.image, f.time_s) for f in distinct(frames)], max_pixels)


def look_at_prompt(name: str, prompt: PromptFrame, max_pixels: int | None) -> Observation:
    """One marked frame with its stamp."""
    return stamped(name, [(_resized(prompt.picture, max_pixels), prompt.time_s)], max_pixels)


def stamped(
    source: str,
    shots: Sequence[tuple[PIL.Image.Image, float | None]],
    max_pixels: int | None,
) -> Observation:
    """Pictures with their times, each after its stamp."""
    blocks: list[Block] = []
    for picture, time_s in shots:
        if time_s is not None:
            blocks.append(Text(text=stamp(time_s)))
        blocks.append(
            Image(
                source=source,
                time_s=time_s,
                max_pixels=max_pixels,
                size_wh=picture.size,
                sha256=picture_hash(picture),
            )
        )
    return Observation(tuple(blocks), tuple(picture for picture, _ in shots))


def joined(looks: Sequence[Observation]) -> Observation:
    """Several looks as one, in order."""
    pictures = tuple(picture for look in looks for picture in look.pictures)
    return Observation(tuple(block for look in looks for block in look.blocks), pictures)


def materialise(images: Sequence[Image], video: Video, prompts: Mapping[str, PromptFrame]) -> list[PIL.Image.Image]:
    """The pixels that references stand for, made again from the video (in one pass) or the visual prompts.

    Raises:
        ItemError: `not_reproduced` when they are not the recorded pixels (another file or decoder).
    """
    found: dict[Image, PIL.Image.Image] = {}
    for limit in {image.max_pixels for image in images if image.source == "video"}:
        wanted = [i for i in dict.fromkeys(images) if i.source == "video" and i.max_pixels == limit]
        times = [image.time_s for image in wanted if image.time_s is not None]
        found |= zip(wanted, (f.image for f in video.frames(times, max_pixels=limit)), strict=True)
    for image in images:
        if image.source != "video":
            found[image] = _resized(prompts[image.source].picture, image.max_pixels)
    for image, picture in found.items():
        if (pixels := picture_hash(picture)) != image.sha256:
            where = f"{image.source} at {image.time_s} s"
            raise ItemError("not_reproduced", f"{where}: pixels {pixels}, recorded {image.sha256}")
    return [found[image] for image in images]


def distinct(frames: Iterable[Frame]) -> list[Frame]:
    """Frames without repeats: a video with fewer frames than asked for shows each once."""
    seen: dict[float, Frame] = {}
    for frame in frames:
        seen.setdefault(frame.time_s, frame)
    return list(seen.values())


def _resized(picture: PIL.Image.Image, max_pixels: int | None) -> PIL.Image.Image:
    picture = picture.convert("RGB")
    size_wh = fit_size(picture.size, max_pixels) if max_pixels else picture.size
    return picture if size_wh == picture.size else picture.resize(size_wh, PIL.Image.Resampling.BICUBIC)
