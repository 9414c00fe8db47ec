"""seekereval's command line: parse, call, print. The only file of the package that prints.

A user's mistake is one line on stderr and exit code 2; missing files, or items that may be mended, are exit code 1.
"""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seekerdata.cli import user_errors
from seekerdata.errors import SeekerError

if TYPE_CHECKING:
    from seekereval.evaluation import Evaluation

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Score any model on video benchmarks with visual prompts.",
)

Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for machines.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Its folder; $SEEKER_DATA/NAME by default, else ~/.cache/videoseeker/NAME."),
]


@app.callback()
def main() -> None:
    """Score any model on video benchmarks with visual prompts."""


@app.command()
def run(
    bench: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench, world or mlvu:split=test.")],
    model: Annotated[str, typer.Option(help="inspect_ai's name, or seeker/expert, seeker/random, seeker/blind.")],
    preset: Annotated[str, typer.Option(help="Whose settings: default, videoseeker, v2p.")] = "default",
    mode: Annotated[str | None, typer.Option(help="tool, direct or reasoning.")] = None,
    tools: Annotated[str | None, typer.Option(help="Tools that are offered: view_visual_prompt,crop_video.")] = None,
    calls: Annotated[str | None, typer.Option(help="native, or text for servers without tool calls.")] = None,
    data: Annotated[Path | None, typer.Option(help="The benchmark's folder.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many items.", min=1)] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; under runs/ by default.")] = None,
    judge: Annotated[str | None, typer.Option(help="The model that grades open answers.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the model's server is.")] = None,
    temperature: Annotated[float | None, typer.Option(help="The preset's by default.", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Limit of one reply.", min=1)] = None,
    concurrency: Annotated[int, typer.Option(help="Items at once.", min=1)] = 8,
    blind: Annotated[bool, typer.Option("--blind", help="Baseline: the words alone.")] = False,
    one_frame: Annotated[bool, typer.Option("--one-frame", help="Baseline: one frame, the marked one.")] = False,
    no_mark: Annotated[bool, typer.Option("--no-visual-prompt", help="Baseline: no mark.")] = False,
    shuffle: Annotated[int | None, typer.Option("--shuffle-options", metavar="SEED", help="Options reordered.")] = None,
    circular: Annotated[bool, typer.Option("--circular", help="All orders of the options; all right.")] = False,
    price: Annotated[str | None, typer.Option(metavar="IN,OUT", help="Dollars for a million tokens.")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show one prompt and the cost; ask nobody.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a model a benchmark's questions, or go on with a run that was stopped."""
    with user_errors():
        changes = {"mode": mode, "tools": tools, "calls": calls, "temperature": temperature, "max_tokens": max_tokens}
        baselines = {"blind": blind, "one_frame": one_frame, "no_visual_prompt": no_mark}
        asks = {"limit": limit, "shuffle_options": shuffle, "circular": circular, "judge": judge}
        evaluation = _evaluation(bench, data, preset, changes, baselines, asks)
        who = {"model": model, "base_url": base_url, "concurrency": concurrency, "retries": PATIENT}
        facts = _dry(evaluation, who, price, as_json) if dry else _run(evaluation, who, out, as_json)
    if facts.get("again"):
        raise typer.Exit(1)


PATIENT = 8
"""Attempts after the first: their pauses sum up to more than three minutes, so that a server may be started anew."""


def _evaluation(
    bench: str,
    data: Path | None,
    preset: str,
    changes: dict[str, Any],
    baselines: dict[str, bool],
    asks: dict[str, Any],
) -> "Evaluation":
    from seekereval.benchmark import benchmark, data_folder
    from seekereval.evaluation import Evaluation
    from seekereval.presets import preset_of

    chosen = [name for name, wanted in baselines.items() if wanted]
    if len(chosen) > 1:
        raise SeekerError(f"one baseline at a time, not {' and '.join(chosen)}")
    tools = changes["tools"]
    changes["tools"] = tuple(tool.strip() for tool in tools.split(",")) if tools else None
    if asks["judge"]:
        asks["judge"] = _settings({"model": asks["judge"], "retries": PATIENT})
    folder = data_folder(benchmark(bench), data)
    how = preset_of(preset, **changes)
    return Evaluation(benchmark=bench, data=folder, preset=how, baseline="".join(chosen), **asks)


def _settings(values: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from seekerdata.models import ModelSettings

    try:
        return ModelSettings(**values)
    except ValidationError as error:
        raise SeekerError(f"{values['model']}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _run(evaluation: "Evaluation", who: dict[str, Any], out: Path | None, as_json: bool) -> dict[str, Any]:
    from seekereval.run import folder_of, score_of
    from seekereval.run import run as start

    model = _settings(who | {"temperature": evaluation.preset.temperature, "max_tokens": evaluation.preset.max_tokens})
    folder = out or folder_of(evaluation, model)
    display: Any = "none" if as_json else "rich" if sys.stderr.isatty() else "log"
    start(evaluation, model, folder, _command(), display)
    facts = score_of(evaluation, folder)
    _emit(facts, as_json, lambda: _draw_score(facts))
    return facts


def _command() -> str:
    """What the user typed, without the folder of the run and the server's address."""
    words, left = [], [*sys.argv[1:]]
    while left:
        word = left.pop(0)
        if word in ("--out", "--base-url"):
            del left[:1]
        elif not word.startswith(("--out=", "--base-url=")):
            words.append(word)
    return shlex.join(["seekereval", *words])


def _dry(evaluation: "Evaluation", who: dict[str, Any], price: str | None, as_json: bool) -> dict[str, Any]:
    from seekerdata.budget import Price
    from seekereval.dry_run import dry_run

    try:
        amounts = [float(part) for part in price.split(",")] if price else []
        priced = Price(input=amounts[0], output=amounts[1]) if price else None
    except (ValueError, IndexError):
        raise SeekerError(f"--price {price}: write the dollars for a million tokens, as 2.5,10") from None
    facts = dry_run(evaluation, _settings(who), priced)
    _emit(facts, as_json, lambda: _draw_dry(facts))
    return facts


def _emit(facts: Any, as_json: bool, draw: Callable[[], None]) -> None:
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2, default=str))
    else:
        draw()


def _draw_dry(facts: dict[str, Any]) -> None:
    from seekereval.dry_run import shortened

    if prompt := facts["prompt"]:
        for turn in prompt["turns"]:
            print(f"--- {turn['role']}\n{shortened(turn['text'])}")
        tools = ", ".join(prompt["tools"]) or "none"
        print(f"--- that was {prompt['item']}: {prompt['frames']} frames, tools: {tools}")
    for line in facts["unreadable"]:
        print(f"cannot be shown: {line}", file=sys.stderr)
    plain = {key: value for key, value in facts.items() if isinstance(value, str | int | float) and key != "cost"}
    rows = [(key.replace("_", " "), f"{v:,}" if isinstance(v, int) else str(v)) for key, v in plain.items()]
    cost = "unknown; name the price with --price IN,OUT" if facts["cost"] is None else f"${facts['cost']:,}"
    _table([("", ""), *rows, ("cost", cost)])
    print("These are estimates:", *facts["assumptions"], sep="\n- ")


def _draw_score(facts: dict[str, Any]) -> None:
    def line(name: str, part: dict[str, Any]) -> tuple[str, ...]:
        interval = "{:.1f} - {:.1f}".format(*part["ci95"]) if part["ci95"] else "one video"
        return name, str(part["n"]), f"{part['score']:.1f}", interval

    rows = [("", "n", "score", "95 %"), line("all items", facts | {"score": facts["headline"]})]
    rows += [line(f"{kind}: {name}", part) for kind, parts in facts["groups"].items() for name, part in parts.items()]
    rows += [(name, "", f"{value:.1f}", "") for name, value in facts["extras"].items()]
    rows += [(f"as {rule}", str(facts["compat_n"][rule]), _percent(v), "") for rule, v in facts["compat"].items()]
    _table(rows)
    print("states: " + ", ".join(f"{state} {n}" for state, n in facts["states"].items() if n))
    for error, n in facts["errors"].items():
        print(f"error in {n} item{'s' * (n > 1)}: {error}")
    if facts["again"]:
        print(f"{facts['again']} of them may be mended: run the same command again, it asks those only")
    print(f"results: {facts['out']}")


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


def _table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for n, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if n == 0 else "right", overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table, soft_wrap=False)


@app.command()
def data(
    benchmark: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench or mlvu:split=test.")],
    folder: Data = None,
    check: Annotated[bool, typer.Option("--check", help="Only look at what is in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Download a benchmark's files and unpack them, or check a folder; say what is there and what is missing."""
    with user_errors():
        from seekereval.benchmark import benchmark as named
        from seekereval.benchmark import data_folder
        from seekereval.download import download
        from seekereval.inventory import inventory

        which = named(benchmark)
        where = data_folder(which, folder)
        if not check and which.hub.id:
            download(which, where, told=lambda line: print(line, file=sys.stderr))
        lines = inventory(which, where)
        facts = {"benchmark": benchmark, "data": str(where), "lines": [line._asdict() for line in lines]}
        _emit(facts, as_json, lambda: _table([("what", "expected", "found", "verdict", "note"), *lines]))
        if not as_json:
            print(f"{which.plugin_name()}: {where} (licence: {which.licence})")
    if any(line.verdict in ("missing", "differs") for line in lines):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
