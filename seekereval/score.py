"""score: the replies of another tool, graded as our own are. Every item of the benchmark is counted, or every row of
the file where the questions are taken from there.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekerdata.sample import digest
from seekereval.item import Graded, Item
from seekereval.matching import Match, match
from seekereval.predictions import Prediction, Predictions, read_predictions
from seekereval.results import Results

if TYPE_CHECKING:
    from seekereval.benchmark import Benchmark


def score(spec: str, file: Path, data: Path | None = None, judge: ModelSettings | None = None) -> Results:
    """Grade a file of replies.

    Args:
        spec: the benchmark, such as `v2p_bench` or `mlvu:split=test`.
        file: the replies, in any of `predictions.FORMATS`.
        data: the benchmark's folder; without it the file's own rows are the questions.
        judge: the model that scores open answers; needed where there are any.

    Raises:
        SeekerError: an unknown benchmark, an unreadable file, rows that are not this benchmark's questions, or open
            answers without a judge.
    """
    from seekereval.benchmark import benchmark

    chosen = benchmark(spec)
    spec = chosen.plugin_name() + "".join(spec.partition(":")[1:])
    predictions = read_predictions(file)
    if data is None:
        items = _carried(chosen, predictions)
        found = Match(dict(zip((item.id for item in items), predictions.replies, strict=True)))
    else:
        items = chosen.items(data)
        found = match(items, predictions.replies)
    if not found.found:
        raise SeekerError(f"{file}: none of its {len(predictions.replies)} rows is a question of {spec}")
    opened = sum(item.is_open and item.id in found.found for item in items)
    if opened and judge is None:
        raise SeekerError(f"{file}: {opened} of its replies answer open questions; name a judge by --judge")
    graded = asyncio.run(_grade(items, found, judge))
    return Results(file, _manifest(spec, chosen, predictions, found, items, data, judge), graded)


def judge_named(name: str) -> ModelSettings:
    """The model that scores open answers, by inspect_ai's name.

    Raises:
        SeekerError: it is no such name.
    """
    try:
        return ModelSettings(model=name)
    except ValidationError as error:
        raise SeekerError(f"--judge {name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def said(results: Results) -> list[str]:
    """What a reader must know of how rows and items met, a line each; nothing where all fitted."""
    facts = results.manifest["matched"]
    words = {
        "missing": "items have no row in the file; they count as missing",
        "unknown": "rows are no question of the benchmark; they count nowhere",
        "repeated": "rows answer a question again; the first row counts",
        "other_gold": "rows name another right answer than the benchmark's files; the files count",
    }
    lines = [f"{facts[key]} {text}" for key, text in words.items() if facts[key]]
    if (published := facts["published"]) > facts["items"]:
        lines.append(f"{facts['items']} of up to {published} items of the benchmark; --data DIR counts all")
    return lines


def _carried(chosen: "Benchmark", predictions: Predictions) -> list[Item]:
    """The questions as the file's rows have them."""
    from seekereval.benchmark import unique

    hint = f"{predictions.path}: its rows hold no whole questions of {chosen.plugin_name()}; name them by --data DIR"
    try:
        items = unique([chosen.item(prediction.row) for prediction in predictions.replies])
    except (KeyError, SeekerError):
        raise SeekerError(hint) from None
    if all(
        item.scoring == "choice" and not (item.question and len(item.options) > 1 and item.answer) for item in items
    ):
        raise SeekerError(hint)
    return items


async def _grade(items: Sequence[Item], found: Match, judge: ModelSettings | None) -> list[Graded]:
    slots = asyncio.Semaphore(judge.concurrency if judge else 1)

    async def one(item: Item) -> Graded:
        async with slots:
            return await _graded(item, found.found.get(item.id), judge)

    return await asyncio.gather(*map(one, items))


async def _graded(item: Item, prediction: Prediction | None, judge: ModelSettings | None) -> Graded:
    from seekereval.scoring import grade, grade_open

    reply = prediction.reply if prediction else ""
    facts: dict[str, Any] = {"calls": prediction.calls} if prediction else {}
    if not item.is_open or not reply or (prediction and prediction.error):
        return grade(item, reply, error=prediction.error if prediction else "", **facts)
    assert judge is not None, "open answers have a judge"
    return await grade_open(item, reply, judge, **facts)


def _manifest(
    spec: str,
    chosen: "Benchmark",
    predictions: Predictions,
    found: Match,
    items: Sequence[Item],
    data: Path | None,
    judge: ModelSettings | None,
) -> dict[str, Any]:
    """All that makes the number: which replies, which questions, read by which version of what. The names are those
    of a run's manifest."""
    from seekerdata.versions import versions
    from seekereval.scoring import VERSION

    models = {prediction.row.get("model") for prediction in predictions.replies} - {None}
    settings = {"benchmark": spec, **({"data": str(data)} if data is not None else {})}
    judged = {"judge": judge.model_dump(mode="json", exclude={"base_url"}, exclude_none=True)} if judge else {}
    return {
        "kind": "score",
        "settings": {**settings, **judged},
        "model": {"asked": ", ".join(sorted(map(str, models))) or "not said in the file"},
        "predictions": predictions.facts,
        "matched": {
            "items": len(items),
            "rows": len(found.found),
            "missing": len(items) - len(found.found),
            "unknown": len(found.unknown),
            "repeated": len(found.repeated),
            "other_gold": len(found.other_gold),
            "published": max((count.items or 0 for count in chosen.counts), default=0),
        },
        "benchmark": {
            "name": chosen.plugin_name(),
            "hub_id": chosen.hub_id,
            "revision": chosen.revision,
            "licence": chosen.licence,
            "questions": "from the file of replies" if data is None else "from the data folder",
            "items_sha256": digest([item.model_dump(mode="json") for item in items], length=64),
        },
        "scorer": VERSION,
        "versions": versions(),
    }
