"""Play: one item as a model meets it, and what it was shown. The same loop and tools as in synthesis and training.

What is taken away for a baseline is taken away here. The truth of a sample is for scripted players only.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seekerdata.control import Control
from seekerdata.observation import PromptFrame
from seekerdata.rollout import Policy, rollout
from seekerdata.sample import LETTERS, Sample, digest
from seekerdata.tools import VIDEO
from seekerdata.trajectory import Trajectory, Turn
from seekerdata.video import Video
from seekereval.item import Item
from seekereval.playing import prompts_of, sample_of, video_of
from seekereval.presets import Preset, Shown
from seekereval.subtitles import read_subtitles

Baseline = Literal["", "blind", "one_frame", "no_visual_prompt"]
"""What is taken away: nothing; every frame; all but one frame (the marked one, else the middle); the marked frames."""
TURNED = "~"
"""Between an item's id and how far its options are turned."""


def shuffled(item: Item, seed: int) -> Item:
    """The item with its options in an order drawn for it; the answer's letter goes along."""
    order = list(range(len(item.options)))
    random.Random(digest(["options", seed, item.id])).shuffle(order)
    return reordered(item, order)


def turned(item: Item) -> list[Item]:
    """The item once for each place that its first option can have, ids marked; an open item stays alone."""
    count = len(item.options)
    orders = [[(n + shift) % count for n in range(count)] for shift in range(count)]
    made = [reordered(item, order) for order in orders] or [item]
    return [made[0], *(i.model_copy(update={"id": f"{item.id}{TURNED}{n}"}) for n, i in enumerate(made[1:], start=1))]


def reordered(item: Item, order: Sequence[int]) -> Item:
    """The item with `options[order[k]]` at place k."""
    if not item.options:
        return item
    options = tuple(item.options[n] for n in order)
    letters = list(LETTERS[: len(options)])
    known = item.answer in letters  # some rows name no option
    gold = letters[list(order).index(letters.index(item.answer))] if known else item.answer
    return item.model_copy(update={"options": options, "answer": gold})


def control_of(preset: Preset, baseline: Baseline, marked: bool) -> Control:
    """What a play begins with and which tools are offered: none that would have nothing to show.

    Args:
        preset: which tools there may be.
        baseline: what is taken away.
        marked: whether there is a marked frame to see.
    """
    if baseline == "blind":
        return Control("nothing", tools=())
    if baseline == "one_frame":
        return Control("prompt" if marked else "overview", tools=())
    tools = tuple(tool for tool in preset.tools if marked or tool != "view_visual_prompt") * (preset.mode == "tool")
    return Control("overview" if not marked or "view_visual_prompt" in tools else "both", tools=tools)


def shown_by(preset: Preset, control: Control, baseline: Baseline) -> Preset:
    """The preset of a play; where one frame is left and none is marked, that is the middle of the video."""
    lone = baseline == "one_frame" and control.opens_with == "overview"
    return preset.model_copy(update={"sampler": "middle"}) if lone else preset


class Staged(NamedTuple):
    """All that a play of one item begins with."""

    sample: Sample
    video: Video
    prompts: list[PromptFrame]
    settings: Shown
    control: Control


def staged(item: Item, data: Path, preset: Preset, baseline: Baseline) -> Staged:
    """Read what one item's play begins with; the video is probed, none of its frames is kept.

    Raises:
        ItemError: the video, a marked frame or the subtitles cannot be read.
    """
    prompts = [] if baseline == "blind" else prompts_of(item, data, marked=baseline != "no_visual_prompt")
    control = control_of(preset, baseline, bool(prompts))
    settings = shown_by(preset, control, baseline).rollout(tuple(read_subtitles(item, data)))
    return Staged(sample_of(item, data), video_of(item, data, preset.decoder), prompts, settings, control)


async def play(item: Item, data: Path, preset: Preset, baseline: Baseline, policy: Policy) -> Trajectory:
    """Play one item to its end.

    Raises:
        ItemError: its files cannot be read or shown, or the model gives no reply after all retries.
        SeekerError: a wrong key, an unknown model or a missing package.
    """
    at = staged(item, data, preset, baseline)
    tools = preset.toolset()
    return await rollout(policy, at.sample, at.video, at.prompts, at.settings, tools=tools, control=at.control)


def looks(trajectory: Trajectory, video: Video) -> list[dict[str, Any]]:
    """Every look of a play: source, true times, frame numbers (`indices`, from 0 in the order shown, also where the
    rate varies; None for what is no frame of the video), sizes, a hash of all pixels.

    Raises:
        ItemError: the video is gone.
    """
    found = []
    for n, turn in enumerate(trajectory.turns):
        for source in dict.fromkeys(image.source for image in turn.images):
            images = [image for image in turn.images if image.source == source]
            times = [image.time_s for image in images]
            film = [image.time_s for image in images if image.time_s is not None] if source == VIDEO else []
            found.append(
                {
                    "turn": n,
                    "source": source,
                    "frames": len(images),
                    "times_s": [None if t is None else round(t, 3) for t in times],
                    "indices": video.numbers(film) if film else [None] * len(images),
                    "sizes_wh": sorted({image.size_wh for image in images}),
                    "sha256": digest([image.sha256 for image in images]),
                }
            )
    return found


def as_text(turn: Turn) -> str:
    """A turn as a person reads it: a placeholder for every picture."""
    lines = []
    for block in turn.content:
        if block.type == "text":
            lines.append(block.text)
        else:
            when = "" if block.time_s is None else f" {block.time_s:.1f} s"
            lines.append(f"[{'frame' if block.source == 'video' else block.source}{when}]")
    return "\n".join(lines)
