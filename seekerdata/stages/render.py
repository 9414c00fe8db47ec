"""render: draw the mark on the chosen frame and say so in the question. Eight shapes in equal shares."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seekerdata.drawn_mark import draw_mark
from seekerdata.instance import decode_mask
from seekerdata.load import Load, verdict_load
from seekerdata.models import ModelRole
from seekerdata.plugin import make, picked
from seekerdata.prompts import RENDER
from seekerdata.reference import put_phrase
from seekerdata.rewrite import check_phrase
from seekerdata.sample import Sample, Target, digest
from seekerdata.stage import Drop, Item, Stage
from seekerdata.verdict import PhraseVerdict, decide
from seekerdata.visual_prompt import SHAPES, Shape, VisualPrompt
from seekerdata.workspace import Workspace

__all__ = ["Render"]


def eight_shapes() -> tuple[Shape, ...]:
    """All shapes as they come."""
    return tuple(make("shapes", name) for name in SHAPES)


class Render(Stage):
    """Marks the target with one of the shapes, equal shares of each, and puts the shape's phrase in the question."""

    by: Literal["template", "model"] = "template"
    """Who puts the phrase into the question: `template` writes it as it is, a text model so that it reads well."""
    model: ModelRole | None = None
    """The model of `by: model`."""
    shapes: tuple[Annotated[Shape, picked("shapes")], ...] = Field(default_factory=eight_shapes, min_length=1)
    seed: int = 0

    version = 2

    @property
    def sees_all(self) -> bool:
        return True

    def loads(self, video_s: float | None) -> dict[str, Load]:
        return {"model": verdict_load(RENDER.text)} if self.model else {}

    @model_validator(mode="after")
    def _agreeing(self) -> "Render":
        if self.by == "model" and not self.model:
            raise ValueError("by: model needs a model, such as model: openai-api/local/qwen")
        if self.by == "template" and self.model:
            raise ValueError("a model is named, but a template writes; say by: model")
        return self

    def fingerprint(self) -> str:
        """A changed prompt is a changed rewriting; a template is what it was before models could write."""
        if self.model:
            return digest([super().fingerprint(), RENDER.hash])
        return self.fingerprint_without(frozenset({"model"}))

    def assign(self, items: Iterable[Item], workspace: Workspace | None = None) -> dict[str, int]:
        """The place of each id's shape in `shapes`: the one that its row asks for, if the recipe has it; the other ids
        in the order of their hashes take the shapes in turn, so that their shares differ by one at most."""
        names = [shape.plugin_name() for shape in self.shapes]
        wanted = {item.sample.id: item.sample.target.shape for item in items}
        asked = {name: names.index(shape) for name, shape in wanted.items() if shape in names}
        ids = sorted(wanted.keys() - asked.keys(), key=lambda name: digest([self.seed, name]))
        return asked | {name: n % len(self.shapes) for n, name in enumerate(ids)}

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        sample = item.sample
        prompt = self.mark(sample, self.shapes[assigned], workspace)
        target, model = sample.target, self.model
        written = _by_model(target, prompt.phrase, model) if model else _by_template(target, prompt.phrase)
        question, options, facts = written
        update = {
            "visual_prompts": (prompt,),
            "text_question": sample.question,
            "question": question,
            "options": options,
            "provenance": sample.noted("render", by=self.by, shape=prompt.shape, **facts),
        }
        return item.model_copy(update={"sample": sample.model_copy(update=update)})

    def mark(self, sample: Sample, shape: Shape, workspace: Workspace) -> VisualPrompt:
        """The visual prompt on the chosen frame; its raw and its marked frame are written to the run folder."""
        instance = sample.instance
        sighting = instance.nearest(sample.target.mark_s or 0.0) if instance else None
        assert sighting is not None and sighting.mask is not None, "segment leaves a mask"
        (frame,) = workspace.video(sample.video.path).frames([sighting.time_s])
        key = digest([self.seed, sample.id, shape.plugin_name()])
        drawn = draw_mark(frame.rgb, decode_mask(sighting.mask), shape, key)
        return VisualPrompt(
            time_s=frame.time_s,
            shape=shape.plugin_name(),
            colour=drawn.colour,
            phrase=shape.phrase.format(number=drawn.number),
            box_xyxy=sighting.box_xyxy,
            mask=sighting.mask,
            number=drawn.number if "{number}" in shape.phrase else None,
            image=workspace.write_frame(drawn.rgb),
            raw_image=workspace.write_frame(frame.rgb),
            drawn=drawn.how,
        )


def _by_template(target: Target, phrase: str) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    options = tuple(put_phrase(option, phrase) for option in target.vp_options)
    return put_phrase(target.vp_question, phrase), options, {}


def _by_model(target: Target, phrase: str, model: ModelRole) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """Asked by the texts with `<vp>` and the phrase; neither the answer nor what the target is are shown."""

    def check(verdict: PhraseVerdict) -> None:
        check_phrase(verdict, target, phrase)

    asked = RENDER.item(question=target.vp_question, options=target.vp_options, phrase=phrase)
    decision = asyncio.run(decide(model, RENDER, asked, PhraseVerdict, check))
    return decision.verdict.question, tuple(decision.verdict.options), decision.facts
