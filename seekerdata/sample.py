"""Sample: a question about one thing in one video, and all that is known about its answer.

Every stage takes a Sample and gives a Sample; what a stage finds out is added, nothing is taken away. All times
are seconds from the video's start, all boxes pixels of the full upright frame.
"""

import hashlib
import json
import string
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.instance import Instance
from seekerdata.visual_prompt import VisualPrompt

LETTERS = string.ascii_uppercase

DIMENSIONS = {
    "OA": "object attribute",
    "HA": "human attribute",
    "OD": "object direction",
    "FM": "feature mapping",
    "FT": "forward temporal",
    "RT": "reverse temporal",
    "AS": "action sequence",
    "SR": "spatial relationship",
    "GC": "general counting",
    "CR": "causal relationship",
    "PU": "plot understanding",
    "CI": "counterfactual inference",
}
"""The twelve dimensions of V2P-Bench by code, as its questions mean them; its released map is wrong for eight."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoRef(Frozen):
    """A video by path and content. `path` is relative to the dataset's video folder and is never shown to a
    model; `sha256` is the content's identity."""

    path: str
    sha256: str
    duration_s: float
    size_wh: tuple[int, int]
    fps: float
    origin: str = ""
    """Where it comes from: a data set's name, a URL, `world`."""
    licence: str = ""


class Target(Frozen):
    """The one thing a question is about, as people or models described it.

    `window_s` is the stretch of time one must watch to answer. `event_s` is the moment that decides the answer,
    where it is known; `evidence` says in words what is seen then.
    """

    tag: str = ""
    description: str = ""
    """The words of the question that name the target, to be replaced by the visual prompt's phrase."""
    unique: bool | None = None
    """Is it settled which one thing in the video is meant? None: nobody said. A made world always knows."""
    reason: str = ""
    window_s: tuple[float, float] | None = None
    event_s: tuple[float, float] | None = None
    evidence: str = ""
    needs_mark: bool = True
    """False when the text question's own words are enough to tell the target from everything else."""
    needs_crop: bool = True
    """False when the overview (1 fps) already shows the answer."""
    vp_question: str = ""
    """The question with `<vp>` in place of the words that name the target; set by `verify`."""
    vp_options: tuple[str, ...] = ()
    mark_s: float | None = None
    """Time of the sighting chosen for the mark; set by `segment`."""
    shape: str = ""
    """The shape that a person wants it marked with; empty: any."""


class Sample(Frozen):
    """One question. `answer` is a letter when there are options, else the answer's text."""

    id: str
    video: VideoRef
    question: str
    options: tuple[str, ...] = ()
    answer: str
    dimension: str = ""
    """A V2P-Bench dimension code (OA HA OD FM CR PU CI FT RT AS SR GC), empty if unknown."""
    target: Target = Target()
    instance: Instance | None = None
    visual_prompts: tuple[VisualPrompt, ...] = ()
    text_question: str = ""
    """The question before the visual prompt replaced the target's name; empty until `render`."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """What each stage decided, by stage name: verdict, model, prompt hash."""

    @property
    def answer_text(self) -> str:
        """The answer in words: the option's text, or the open answer itself."""
        return self.options[LETTERS.index(self.answer)] if self.options else self.answer

    def noted(self, stage: str, **facts: Any) -> dict[str, Any]:
        """`provenance` with one stage's facts added, for `model_copy(update={"provenance": ...})`."""
        return {**self.provenance, stage: facts}


def digest(value: Any, length: int = 16) -> str:
    """A short content hash of anything JSON can write; equal content gives equal hashes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
