"""verify: is the target the only thing its words could mean, what is it, and when must one look?"""

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from seekerdata.load import Load, frame_count, verdict_load, watched_load
from seekerdata.models import ModelRole, as_content, connect
from seekerdata.native_video import upload
from seekerdata.observation import look_at_video
from seekerdata.prompts import VERIFY, VERIFY_WATCHED, Prompt
from seekerdata.reference import VP, find_reference, put_vp
from seekerdata.rewrite import check_target
from seekerdata.sample import Sample, Target, digest
from seekerdata.sampling import fps_capped
from seekerdata.stage import Drop, Item, Stage
from seekerdata.verdict import TargetVerdict, decide
from seekerdata.workspace import Workspace, encode_jpeg, jpeg_uri

if TYPE_CHECKING:
    from inspect_ai.model import Content

__all__ = ["Verify"]


class Verify(Stage):
    """Keeps questions about one unique target, and says which thing that is and when it must be watched."""

    version = 2

    by: Literal["annotations", "model"] = "annotations"
    """Who decides: the verdicts that come with the data, or a model that is shown the video."""
    box_reach_s: float = 2.0
    """Without a window, one is taken this far around the annotated box or mask."""
    model: ModelRole | None = None
    """The model of `by: model`; it must see pictures."""
    show: Literal["auto", "frames"] = "auto"
    """`auto`: the video itself where the model takes one (`google/...`), else frames with their times."""
    fps: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Frames that the model is shown of each second of the whole video."""
    max_frames: int = Field(default=128, ge=1)
    """Of a longer video the frames stand further apart."""
    max_pixels: int = Field(default=336 * 336, ge=32 * 32)
    """Limit of each frame."""

    shown_frames = frozenset({"model"})

    @property
    def _watched(self) -> bool:
        """Whether the model is shown the video itself."""
        return self.show == "auto" and self.model is not None and self.model.watches_videos

    @property
    def _prompt(self) -> Prompt:
        return VERIFY_WATCHED if self._watched else VERIFY

    def loads(self, video_s: float | None) -> dict[str, Load]:
        if self.model and self._watched:
            return {"model": watched_load(self._prompt.text, self.model.model, video_s)}
        frames = frame_count(self.fps, self.max_frames, video_s)
        return {"model": verdict_load(VERIFY.text, frames, self.max_pixels)} if self.model else {}

    @model_validator(mode="after")
    def _agreeing(self) -> "Verify":
        if self.by == "model" and not self.model:
            raise ValueError("by: model needs a model, such as model: openai-api/local/qwen")
        if self.by == "annotations" and self.model:
            raise ValueError("a model is named, but annotations decide; say by: model")
        return self

    def fingerprint(self) -> str:
        """A changed prompt is a changed verdict, and each way to show a video has its own; what only another way reads
        redoes nothing."""
        frames = frozenset({"fps", "max_frames", "max_pixels"})
        if not self.model:
            return self.fingerprint_without(frames | {"model", "show"})
        unread = frozenset({"box_reach_s", "show"}) | (frames if self._watched else frozenset())
        return digest([self.fingerprint_without(unread), self._prompt.hash])

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with its target settled, or dropped as `<category>: <why>`."""
        sample = item.sample
        decided = self._by_model(sample, self.model, workspace) if self.model else self._by_annotations(sample)
        if isinstance(decided, Drop):
            return decided
        target, facts = decided
        update = {"target": target, "provenance": sample.noted("verify", by=self.by, **facts)}
        return item.model_copy(update={"sample": sample.model_copy(update=update)})

    def _by_annotations(self, sample: Sample) -> Drop | tuple[Target, dict[str, Any]]:
        target = sample.target
        if target.unique is None:
            return Drop(reason="missing: nobody says whether the target is unique")
        if not target.unique:
            return Drop(reason=f"ambiguous: {target.reason or 'several things fit the words'}")
        if not target.tag.strip():
            return Drop(reason="missing: no tag")
        window_s = target.window_s or self._window(sample)
        if window_s is None:
            return Drop(reason="missing: no window, and no box or mask to take one from")
        settled = named(sample).model_copy(update={"window_s": window_s})
        return settled, {"window_from": "annotation" if target.window_s else "box"}

    def _by_model(self, sample: Sample, model: ModelRole, workspace: Workspace) -> Drop | tuple[Target, dict[str, Any]]:
        """Asked by frames, question and options; the answer and what the data says of the target are not shown."""

        def check(verdict: TargetVerdict) -> None:
            check_target(verdict, sample.video, sample.question, sample.options)

        connect(model)
        asked, shown = self._shown(sample, model, workspace)
        decision = asyncio.run(decide(model, self._prompt, asked, TargetVerdict, check))
        verdict, why = decision.verdict, " ".join(decision.verdict.reason.split())
        if not verdict.is_valid:
            return Drop(reason=f"{verdict.category}: {why}")
        return _settled(sample, verdict, why), {"recommended_shape": verdict.shape, **shown, **decision.facts}

    def _shown(self, sample: Sample, model: ModelRole, workspace: Workspace) -> "tuple[list[Content], dict[str, Any]]":
        """The whole video, itself or as stamped frames, then the question as data; and how it was shown."""
        from inspect_ai.model import ContentText

        video = workspace.video(sample.video.path)
        fields = {"duration_s": round(sample.video.duration_s, 1), "question": sample.question}
        words = ContentText(text=self._prompt.item(**fields, options=sample.options))
        if self._watched:
            return [upload(model, video.path), words], {"shown": "video"}
        look = look_at_video(video.clip(), fps_capped(self.fps, self.max_frames), self.max_pixels)
        pictures = iter(look.pictures)
        stamped = as_content(look.blocks, lambda _: jpeg_uri(encode_jpeg(np.asarray(next(pictures)))))
        return [*stamped, words], {"shown": "frames", "frames": len(look.pictures)}

    def _window(self, sample: Sample) -> tuple[float, float] | None:
        times = [s.time_s for s in sample.instance.sightings] if sample.instance else []
        if not times:
            return None
        start_s = max(0.0, min(times) - self.box_reach_s)
        return round(start_s, 1), round(min(sample.video.duration_s, max(times) + self.box_reach_s), 1)


def _settled(sample: Sample, verdict: TargetVerdict, why: str) -> Target:
    """The sample's target as a checked verdict says it; what only the data knows (the event) stays."""
    assert verdict.window is not None, "a valid verdict has a window"
    update = {
        "tag": " ".join(verdict.tag.split()),
        "description": " ".join(verdict.description.split()),
        "unique": True,
        "reason": why,
        "window_s": (round(verdict.window.start_s, 1), min(sample.video.duration_s, round(verdict.window.end_s, 1))),
        "vp_question": verdict.question,
        "vp_options": tuple(verdict.options),
    }
    return sample.target.model_copy(update=update)


def named(sample: Sample) -> Target:
    """The target with the words that name it found, and the question and options rewritten with `<vp>`."""
    target, question = sample.target, sample.question
    words = target.description if target.description in question else ""
    words = words or find_reference(question, target.tag)
    rewritten = put_vp(question, words) if words else f"About {VP}: {question}"
    return target.model_copy(
        update={
            "description": words,
            "vp_question": rewritten,
            "vp_options": tuple(put_vp(option, words) for option in sample.options),
        }
    )
