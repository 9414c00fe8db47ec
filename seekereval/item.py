"""Item: one question of a benchmark, as its files have it. Graded: what became of it in one run.

An item is kept by its benchmark and never changed; a graded item holds the whole reply, so that it can be read again.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(Frozen):
    """One question. `answer` is a letter when there are options, else the answer's text."""

    id: str
    """The benchmark's own, or a hash of the row: the same in every run."""
    video: str
    """Path inside the data folder."""
    question: str
    """Its words alone, without options and instructions."""
    options: tuple[str, ...] = ()
    """Texts without letters, in the order of their letters; none: an open question."""
    answer: str
    scoring: Literal["choice", "rule", "judge", "mlvu_sub_scene", "mlvu_summary", "elsewhere"] = "choice"
    """Who says what a reply is worth: its letter; `rule`: letter or words of what it gives as its answer, as training
    counts it; the judge {1, 0.5, 0}, one of MLVU's two judges; `elsewhere`: only those who hold back the right letter.
    Such a reply is read and counted, and is neither right nor wrong here."""
    points: tuple[str, ...] = ()
    """What a good open answer mentions (MLVU sub-scene captioning)."""
    marked_frames: tuple[str, ...] = ()
    """Frames that carry a visual prompt: paths inside the data folder."""
    groups: dict[str, str] = Field(default_factory=dict)
    """What this item is in every grouping, such as `{"duration": "short", "dimension": "OA"}`."""
    cluster: str
    """The video: items about one are not independent of each other."""
    duration_s: float | None = None
    evidence_s: tuple[tuple[float, float], ...] = ()
    """Stretches of time at which the answer is seen, where the benchmark says so."""
    subtitles: str = ""
    """Path of the subtitles inside the data folder."""
    defects: tuple[str, ...] = ()
    """What is known to be wrong with the item; it counts all the same, and a second number leaves it out."""
    row: dict[str, Any] = Field(default_factory=dict)
    """The benchmark's own row, for other tools' rules and files."""

    @property
    def is_open(self) -> bool:
        """Whether a model may have to judge the reply."""
        return self.scoring not in ("choice", "rule", "elsewhere")

    @property
    def is_scored(self) -> bool:
        """Whether it can be said here what a reply is worth."""
        return self.scoring != "elsewhere"


class State(StrEnum):
    """What a reply is, before it is right or wrong. Only the first is worth anything."""

    ANSWERED = "answered"
    MISSING = "missing"
    """No answer in it, or it is empty."""
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    """The token limit, the context or the limit of rounds ended it before it answered."""
    ERROR = "error"
    """There is no reply: the server, the video or a bug; `error` says why. Its text is never read as an answer."""
    JUDGE_FAILED = "judge_failed"


class Call(Frozen):
    """One tool call of a model."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    error: str = ""


class Turned(Frozen):
    """One of the ways in which an item was asked, its options in one of their orders."""

    options: tuple[str, ...]
    gold: str
    """The right letter in this order."""
    state: State
    reply: str
    answer: str
    score: float
    rule: str
    error: str


class Graded(Frozen):
    """An item with its reply and what that is worth. Every item of a run has one, whatever happened."""

    item: Item
    state: State
    reply: str = ""
    """All that the model said at last."""
    answer: str = ""
    """The letter that was read, or the open answer's text."""
    score: float = 0.0
    """0 to 1; 0 unless the state is `answered`, and where nobody here knows (`item.is_scored`)."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Named scores of a judge, on its own scale."""
    rule: str = ""
    """Which rule read the answer, or what the judge said."""
    error: str = ""
    calls: tuple[Call, ...] = ()
    """Tool calls, in order; `direct` has none."""
    frames: int = 0
    """Pictures that the model was shown in all."""
    seconds: float = 0.0
    usage: dict[str, int] = Field(default_factory=dict)
    """Tokens, as the server counts them."""
    turns: tuple[Turned, ...] = ()
    """Every way in which the item was asked, if it was asked in several; all else is then of the worst, sums apart."""

    @property
    def worst_turn(self) -> int:
        """Which of the turns reply, state and score are of."""
        return min(range(len(self.turns)), key=lambda n: self.turns[n].score, default=0)
