"""view: the page of a run: every item as the model met it, what it said, which rule read it, what was right.

Frames are made again from the data where it is at hand, and checked against the recorded pixels; without it the page
has the words. Tool rounds come from the recorded conversation, and from the list of calls where there is none.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import PIL.Image
from pydantic import ValidationError

from seekerdata.errors import ItemError, SeekerError
from seekerdata.exhibit import Exhibit
from seekerdata.observation import PromptFrame, materialise
from seekerdata.page import write_page
from seekerdata.peer_decoder import PYAV, DecoderName
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.tools import VIDEO
from seekerdata.trajectory import Image, StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.video import Video, VideoInfo
from seekereval.item import Graded, State
from seekereval.report import NOT_KNOWN
from seekereval.results import Results, leaves, short

TRAJECTORIES = "trajectories.jsonl"
TOLD = {
    "model.asked": "model",
    "settings.preset.name": "preset",
    "settings.preset.mode": "mode",
    "settings.baseline": "baseline",
    "predictions.file": "replies",
    "benchmark.revision": "data revision",
    "scorer": "scorer",
    "versions.git": "code",
    "finished": "finished",
}
"""What the page says of the manifest; a report has all of it."""
NOT_RECORDED = "What this call showed is not recorded."


def write_view(results: Results, page: Path, data: Path | None, limit: int, facts: Mapping[str, Any]) -> Path:
    """Write the page of a run.

    Args:
        results: the run.
        page: the HTML file; replaced whole.
        data: the benchmark's folder, to show frames from; None: words only.
        limit: at most this many items, in the order of the file.
        facts: what a report says of the run (`report.facts_of`); the headline and the states are shown.

    Raises:
        SeekerError: no such data folder, a recorded conversation that cannot be read, or no such decoder here.
    """
    if data is not None and not data.is_dir():
        raise SeekerError(f"--data {data}: no such folder")
    told = leaves(results.manifest)
    shown = _headline(facts) | {name: short(told[key], 60) for key, name in TOLD.items() if told.get(key)}
    if len(results.graded) > limit:
        shown["shown"] = f"the first {limit}"
    played = read_trajectories(results.path)
    settings = results.manifest.get("settings", {})
    decoder = settings.get("preset", {}).get("decoder", PYAV)
    exhibits = (exhibit(row, played.get(row.item.id), data, decoder) for row in islice(results.graded, limit))
    asked = settings.get("benchmark", "run")
    write_page(page, f"{asked}: {results.name}", shown, (), exhibits)
    return page


def _headline(facts: Mapping[str, Any]) -> dict[str, str]:
    low, high = facts["ci95"] or (None, None)
    between = "" if low is None else f" [{low:.1f}–{high:.1f}]"
    states = {name.replace("_", " "): str(n) for name, n in facts["states"].items() if n}
    score = NOT_KNOWN if facts["headline"] is None else f"{facts['headline']:.1f} %{between}"
    return {"score": score, "items": str(facts["n"]), **states}


def data_of(results: Results) -> Path | None:
    """The folder that a run read its videos from, if it still stands on this machine."""
    said = results.manifest.get("settings", {}).get("data")
    return Path(said) if said and Path(said).is_dir() else None


def read_trajectories(run: Path) -> dict[str, Trajectory]:
    """The recorded conversations of a run by item id; none for a run that kept none.

    Raises:
        SeekerError: a line is not a conversation.
    """
    found: dict[str, Trajectory] = {}
    if not (run / TRAJECTORIES).exists():
        return found
    with (run / TRAJECTORIES).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                trajectory = Trajectory.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]["msg"]
                raise SeekerError(f"{run / TRAJECTORIES}:{number}: not a conversation: {first}") from None
            found[trajectory.sample_id] = trajectory
    return found


def exhibit(row: Graded, played: Trajectory | None, data: Path | None, decoder: DecoderName = PYAV) -> Exhibit:
    """One item as the page shows it, its frames read by the decoder of the run."""
    item = row.item
    trajectory = (played or _told(row)).model_copy(update={"answer": row.answer})
    looker = _Looker(row, trajectory, data, decoder) if data else None
    return Exhibit(
        sample=_sample(row, trajectory, looker.info if looker else None),
        trajectory=trajectory,
        picture=looker,
        marked=next((prompt.picture for prompt in looker.prompts.values()), None) if looker else None,
        state=outcome(row),
        note=short(row.error) or (f"read by {row.rule}" if row.rule else ""),
        groups=item.groups,
    )


def outcome(row: Graded) -> str:
    """right | partly right | wrong, and the state's own name where nothing was answered or nobody here knows."""
    if row.state is not State.ANSWERED or not row.item.is_scored:
        return str(row.state).replace("_", " ")
    return "right" if row.score == 1 else "wrong" if row.score == 0 else "partly right"


class _Looker:
    """The pictures of one item, by reference; the first one asked for has all of them decoded in one pass.

    A file that is missing or broken is said where its pictures would be.
    """

    def __init__(self, row: Graded, trajectory: Trajectory, data: Path, decoder: DecoderName) -> None:
        self.trajectory = trajectory
        self.made: dict[Image, PIL.Image.Image] = {}
        self.faults: dict[str, ItemError] = {}
        self.video = Video(data / row.item.video, decoder=decoder)
        self.prompts: dict[str, PromptFrame] = {}
        self._check(VIDEO, row.item.video, lambda: self.video.info)
        for number, path in enumerate(row.item.marked_frames, start=1):
            name = f"prompt_{number}"
            self._check(name, path, partial(self._open, name, data / path))

    def _open(self, name: str, path: Path) -> None:
        with PIL.Image.open(path) as picture:
            self.prompts[name] = PromptFrame(picture.convert("RGB"))

    @property
    def info(self) -> VideoInfo | None:
        return None if VIDEO in self.faults else self.video.info

    def __call__(self, image: Image) -> PIL.Image.Image:
        if image.source in self.faults:
            raise self.faults[image.source]
        if not self.made:
            images = [image for image in self.trajectory.images if image.source not in self.faults]
            self.made = dict(zip(images, materialise(images, self.video, self.prompts), strict=True))
        return self.made[image]

    def _check(self, source: str, path: str, look: Callable[[], object]) -> None:
        """Look at a file of the data folder; a path that leaves the folder is not opened."""
        try:
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise ItemError("bad_path", f"{path} leaves the data folder")
            look()
        except ItemError as error:
            self.faults[source] = error
        except OSError as error:
            self.faults[source] = ItemError("unreadable", f"{path}: {error.strerror or 'not a picture'}")


def _sample(row: Graded, trajectory: Trajectory, info: VideoInfo | None) -> Sample:
    """The item in the page's words. A length that nobody knows is the last moment that was shown."""
    item = row.item
    shown_s = [image.time_s for image in trajectory.images if image.source == VIDEO and image.time_s is not None]
    length_s = info.duration_s if info else item.duration_s or max(shown_s, default=0.0)
    size_wh, fps = (info.size_wh, info.fps) if info else ((0, 0), 0.0)
    seen = {"error": row.error, **row.scores, "defects": ", ".join(item.defects)}
    spent = {"seconds": round(row.seconds, 1), "frames": row.frames, **row.usage}
    return Sample(
        id=item.id,
        video=VideoRef(path=item.video, sha256="", duration_s=length_s, size_wh=size_wh, fps=fps, origin=item.video),
        question=item.question,
        options=item.options,
        answer=item.answer,
        target=Target(event_s=item.evidence_s[0] if item.evidence_s else None),
        provenance={
            "read": {"state": row.state, "answer": row.answer, "rule": row.rule, "score": row.score},
            "run": {key: value for key, value in {**seen, **spent}.items() if value},
        },
    )


def _told(row: Graded) -> Trajectory:
    """A conversation from a graded item alone: the question, the calls without what they showed, the reply."""
    turns = [Turn(role="user", content=(Text(text=row.item.question),))]
    for number, call in enumerate(row.calls, start=1):
        made = ToolCall(id=str(number), name=call.name, arguments=call.arguments, error=call.error)
        turns.append(Turn(role="assistant", tool_calls=(made,)))
        if not call.error:
            turns.append(Turn(role="tool", tool_call_id=str(number), content=(Text(text=NOT_RECORDED),)))
    said = row.reply or (f"Error: {row.error}" if row.error else "")
    turns.append(Turn(role="assistant", content=(Text(text=said),) if said else ()))
    stop = StopReason.ANSWERED if row.state is State.ANSWERED else StopReason.NO_ANSWER
    return Trajectory(sample_id=row.item.id, policy="", kind="", turns=tuple(turns), stop=stop, usage=row.usage)
