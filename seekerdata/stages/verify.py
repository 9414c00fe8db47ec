"""verify: is the target the only thing its words could mean, what is it, and when must one look?"""

from typing import Any, Literal

from seekerdata.reference import VP, find_reference, put_vp
from seekerdata.sample import Sample, Target
from seekerdata.stage import Drop, Item, Stage
from seekerdata.workspace import Workspace

__all__ = ["Verify"]


class Verify(Stage):
    """Keeps questions about one unique target; `annotations` uses the verdicts that come with the data."""

    by: Literal["annotations"] = "annotations"
    box_reach_s: float = 2.0
    """Without a window, one is taken this far around the annotated box or mask."""

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        sample = item.sample
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
        target = named(sample).model_copy(update={"window_s": window_s})
        facts = {"by": self.by, "window_from": "annotation" if sample.target.window_s else "box"}
        update = {"target": target, "provenance": sample.noted("verify", **facts)}
        return item.model_copy(update={"sample": sample.model_copy(update=update)})

    def _window(self, sample: Sample) -> tuple[float, float] | None:
        times = [s.time_s for s in sample.instance.sightings] if sample.instance else []
        if not times:
            return None
        start_s = max(0.0, min(times) - self.box_reach_s)
        return round(start_s, 1), round(min(sample.video.duration_s, max(times) + self.box_reach_s), 1)


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
