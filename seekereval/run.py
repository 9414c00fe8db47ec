"""run: ask a model the questions of an evaluation, and leave results, frames, manifest and logs in a folder.

inspect_ai's logs are the only truth for going on: a run that was stopped asks again only what has no reply, and the
judge alone about replies on which it had failed. Results are written from logs and verdicts, whole, at the end.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings, connect, without_secrets
from seekerdata.sample import digest
from seekerdata.workspace import write_atomically
from seekereval import own_weights
from seekereval.benchmark import benchmark
from seekereval.evaluation import Evaluation
from seekereval.grading import GRADED, HOPELESS, whole
from seekereval.item import Graded, Item, State
from seekereval.manifest import begin, finish, settings_of
from seekereval.play import TURNED
from seekereval.presets import Preset
from seekereval.results import write_results
from seekereval.submission import write_submission
from seekereval.verdicts import VERDICTS, Unjudged, judged_again, kept_verdict

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import Model

FRAMES, TRAJECTORIES, LOGS = "frames.jsonl", "trajectories.jsonl", "logs"
SUBMISSION = "submission.json"
PLAYERS = "seeker/"


def run(
    evaluation: Evaluation,
    model: ModelSettings,
    out: Path,
    command: str = "",
    display: Literal["rich", "log", "none"] = "none",
) -> Path:
    """Run an evaluation, or go on with one that was stopped, and write its folder.

    Args:
        evaluation: what is asked.
        model: who is asked; its temperature and reply limit are the preset's.
        out: the folder of this run and of no other.
        command: what the user typed, for the manifest.
        display: how inspect_ai shows progress.

    Returns:
        The folder.

    Raises:
        SeekerError: the folder holds another run, the data is not there, a wrong key, an unknown model or judge.
    """
    started = datetime.now(UTC)
    connected = _model(model, evaluation.preset)
    items = evaluation.items()
    asked = evaluation.asked(items)
    begun = begin(evaluation, model, out, command, items)
    log = _evaluate(evaluation, asked, connected, model.concurrency, out / LOGS, display)
    replies = {str(sample.id): sample for sample in _samples(log)}
    if hopeless := [p["error"] for p in map(_played, replies.values()) if p.get("hopeless")]:
        raise SeekerError(hopeless[0])
    graded = {item.id: _graded(item, replies.get(item.id)) for item in asked}
    graded |= _judged(graded, replies, evaluation.judge, out / VERDICTS, started)
    rows = [whole(item, [g for key, g in graded.items() if _of(key, item)]) for item in items]
    played = {item.id: _played(replies.get(item.id)) for item in asked}
    write_atomically(out / FRAMES, (_line(_frames(item, played[item.id])) for item in asked))
    shown = (p["trajectory"] for p in played.values() if "trajectory" in p)
    write_atomically(out / TRAJECTORIES, (_line(trajectory) for trajectory in shown))
    unanswered = sum(not (replies.get(item.id) and replies[item.id].scores) for item in asked)
    write_results(out, finish(begun, rows, list(played.values()), unanswered), rows)
    _submit(evaluation, out, rows)
    return out


def _submit(evaluation: Evaluation, out: Path, rows: list[Graded]) -> None:
    """Leave the file that the benchmark's leaderboard takes, unless the options are not in its order."""
    form = benchmark(evaluation.benchmark).submission
    if form and evaluation.shuffle_options is None and not evaluation.circular:
        write_submission(form, out / SUBMISSION, rows)


def folder_of(evaluation: Evaluation, model: ModelSettings) -> Path:
    """Where a run is kept if nobody says so: one folder for all that is asked, so that the same command goes on."""
    named = "-".join([evaluation.task, model.model.rpartition("/")[2], evaluation.preset.name])
    return Path("runs") / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', named)}-{digest(settings_of(evaluation, model), 6)}"


def _model(settings: ModelSettings, preset: Preset) -> "Model":
    """The model to evaluate; who plays in this process needs no connection."""
    try:
        import inspect_ai.model
    except ImportError:
        raise SeekerError("seekereval run needs: pip install 'videoseeker-toolkit[models]'") from None
    here = settings.model.startswith(own_weights.HF)
    if not here and not settings.model.startswith(PLAYERS):
        return connect(settings)
    import seekereval.task  # noqa: F401 (brings the provider)
    from seekerdata.plugin import load

    if here:
        own_weights.load(settings, preset)
        return inspect_ai.model.get_model(f"{PLAYERS}{settings.model}")
    load("policies", settings.model.removeprefix(PLAYERS))
    return inspect_ai.model.get_model(settings.model)


def _evaluate(
    evaluation: Evaluation, asked: list[Item], model: "Model", concurrency: int, logs: Path, display: Any
) -> "EvalLog":
    from inspect_ai import eval_set

    from seekereval.task import task_of

    with redirect_stdout(sys.stderr):  # standard output is for what a run found
        _, (log,) = eval_set(
            task_of(evaluation, asked),
            log_dir=str(logs),
            model=model,
            max_samples=concurrency,
            retry_attempts=0,
            retry_immediate=False,
            log_images=False,
            score_display=display == "rich",
            display=display,
            ctl_server=False,
            log_level="error",
        )
    return log


def _samples(log: "EvalLog") -> "Iterator[EvalSample]":
    """The samples of a log one by one, without what only the viewer shows."""
    from inspect_ai.log import read_eval_log_samples

    left_out = {"events", "attachments", "messages"}
    yield from read_eval_log_samples(log.location, all_samples_required=False, exclude_fields=left_out)


def _played(sample: "EvalSample | None") -> dict[str, Any]:
    return (sample.store.get("played") or {}) if sample else {}


def _score(sample: "EvalSample") -> dict[str, Any]:
    """What the scorer noted of a sample that it graded."""
    (score,) = (sample.scores or {}).values()
    return score.metadata or {}


def _graded(item: Item, sample: "EvalSample | None") -> Graded:
    """The grade that the log holds, or why there is none."""
    if sample and sample.scores:
        return Graded.model_validate({"item": item, **_score(sample)[GRADED]})
    bug = sample.error.message if sample and sample.error else "the run was stopped before this item was asked"
    said = _played(sample).get("error") or without_secrets(bug)
    return Graded(item=item, state=State.ERROR, error=said)


def _judged(
    graded: dict[str, Graded],
    replies: "dict[str, EvalSample]",
    judge: ModelSettings | None,
    folder: Path,
    started: datetime,
) -> dict[str, Graded]:
    """Later verdicts on items on which the judge failed before this run; on those of this run it was just asked."""
    failed = [row for row in graded.values() if row.state is State.JUDGE_FAILED]
    found = {row.item.id: kept for row in failed if (kept := kept_verdict(folder, row))}
    left = []
    for row in failed:
        sample = replies[row.item.id]
        if datetime.fromisoformat(sample.completed_at or "") < started and row.item.id not in found:
            left.append(Unjudged(row, _played(sample)))
        elif hopeless := _score(sample).get(HOPELESS):
            raise SeekerError(hopeless)
    return found | (judged_again(folder, left, judge) if judge and left else {})


def _of(key: str, item: Item) -> bool:
    return key == item.id or key.startswith(f"{item.id}{TURNED}")


def _frames(item: Item, played: dict[str, Any]) -> dict[str, Any]:
    """Which frames an item's play showed, in short; `trajectories.jsonl` has every one with its hash."""
    return {"id": item.id, "path": item.video, "video": played.get("video"), "looks": played.get("looks", [])}


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
