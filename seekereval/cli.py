"""seekereval's command line: parse, call, show.

A user's mistake is one line on stderr and exit code 2; a folder that lacks something and items
that another run may mend are exit code 1.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seekerdata.errors import SeekerError
from seekerdata.terminal import Json, emit, user_errors

if TYPE_CHECKING:
    from seekereval.results import Results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Score any model on video benchmarks with visual prompts.",
)

Folder = Annotated[
    Path | None,
    typer.Option("--data", help="Its folder; $SEEKER_DATA/NAME by default, else ~/.cache/videoseeker/NAME."),
]
Export = Annotated[
    tuple[str, Path] | None,
    typer.Option(metavar="FORM FILE", help="Also write videomme, mlvu_test or longvideobench_test."),
]
Data = Annotated[Path | None, typer.Option(help="The folder of the benchmark's files.")]


@app.callback()
def main() -> None:
    """Score any model on video benchmarks with visual prompts."""


@app.command()
def data(
    benchmark: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench or mlvu:split=test.")],
    folder: Folder = None,
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
        told = f"{which.plugin_name()}: {where} (licence: {which.licence})"
        emit(facts, as_json, lambda: [_inventory_table(lines), told])
    if any(line.verdict in ("missing", "differs") for line in lines):
        raise typer.Exit(1)


@app.command()
def run(
    bench: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench, world or mlvu:split=test.")],
    model: Annotated[str, typer.Option(help="inspect_ai's name; hf/FOLDER plays weights here; seeker/expert, random.")],
    preset: Annotated[str, typer.Option(help="Whose settings; seekereval list names them.")] = "default",
    sets: Annotated[list[str] | None, typer.Option("--set", help="A key of the preset: --set fps=0.2.")] = None,
    mode: Annotated[str | None, typer.Option(help="tool, direct or reasoning.")] = None,
    tools: Annotated[str | None, typer.Option(help="Tools that are offered: view_visual_prompt,crop_video.")] = None,
    calls: Annotated[str | None, typer.Option(help="native, or text for servers without tool calls.")] = None,
    decoder: Annotated[str | None, typer.Option(help="Whose pictures: pyav, or decord or torchcodec.")] = None,
    data: Folder = None,
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
    circular: Annotated[bool, typer.Option("--circular", help="All turns of the options, all right.")] = False,
    price: Annotated[str | None, typer.Option(metavar="IN,OUT", help="Dollars for a million tokens.")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show one prompt and the cost; ask nobody.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a model a benchmark's questions, or go on with a run that was stopped."""
    with user_errors():
        from seekereval.command import evaluation_of, overrides, price_of, settings_of, typed

        baselines = {"blind": blind, "one_frame": one_frame, "no_visual_prompt": no_mark}
        changes = {"mode": mode, "tools": tools, "calls": calls, "temperature": temperature, "max_tokens": max_tokens}
        asks = {"limit": limit, "shuffle_options": shuffle, "circular": circular}
        changes |= {"decoder": decoder, **overrides(sets or ())}
        evaluation = evaluation_of(bench, data, preset, changes, baselines, asks, judge)
        settings = settings_of(model, base_url, concurrency, evaluation.preset)
        if dry:
            return _dry_run(evaluation, settings, price_of(price), as_json)
        mendable = _run(evaluation, settings, out, typed(sys.argv[1:]), as_json)
    if mendable:
        raise typer.Exit(1)


@app.command()
def score(
    benchmark: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench or mlvu:split=test.")],
    predictions: Annotated[Path, typer.Option(help="Another tool's file of replies; its content says which tool's.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Keep the graded items here, for report, diff and view.")] = None,
    judge: Annotated[str | None, typer.Option(help="The model that scores open answers, by its name.")] = None,
    export: Export = None,
    as_json: Json = False,
) -> None:
    """Score replies that another tool collected, counting every item."""
    with user_errors():
        from seekereval.results import write_results
        from seekereval.score import judge_named, said
        from seekereval.score import score as grade
        from seekereval.submission import write_submission

        results = grade(benchmark, predictions, data, judge_named(judge) if judge else None)
        if out is not None:
            results = write_results(out, results.manifest, results.graded)
        if export is not None:
            write_submission(*export, results.graded)
        for line in said(results):
            print(line, file=sys.stderr)
        _print_scores([results], as_json)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs or scorings.")],
    form: Annotated[str, typer.Option("--format", help="table, markdown, csv or latex.")] = "table",
    plots: Annotated[Path | None, typer.Option(help="Also draw every grouping into this folder.")] = None,
    export: Export = None,
    as_json: Json = False,
) -> None:
    """Put runs side by side: headline, states, groups, other tools' readings, tools, manifest."""
    with user_errors():
        from seekereval.report import FORMS, facts_of, names
        from seekereval.results import read_results
        from seekereval.submission import write_submission

        if form not in FORMS:
            raise SeekerError(f"--format {form}: there is {', '.join(FORMS)}")
        if export is not None and len(runs) > 1:
            raise SeekerError("--export writes the answers of one run")
        results = [read_results(path) for path in runs]
        if export is not None:
            write_submission(*export, results[0].graded)
        _print_scores(results, as_json, form)
        if plots is not None:
            from seekereval.plots import write_plots

            facts = map(facts_of, results)
            made = write_plots(plots, dict(zip(names(results), facts, strict=True)))
            print(f"{len(made)} plots: {plots}", file=sys.stderr)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="The folder of a run.")],
    second: Annotated[Path, typer.Argument(help="The folder of another run of the same benchmark.")],
    as_json: Json = False,
) -> None:
    """Say what differs between two runs and which items turned out differently."""
    with user_errors():
        from seekereval.diff import compare, drawn
        from seekereval.results import read_results

        found = compare(read_results(first), read_results(second))
        emit(found.facts(), as_json, lambda: drawn(found))


@app.command()
def view(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    html: Annotated[Path | None, typer.Option(help="Where to write the page; <run>/page.html by default.")] = None,
    data: Data = None,
    limit: Annotated[int, typer.Option(help="Show at most this many items.", min=1)] = 200,
) -> None:
    """Write a page with the items: frames, tool rounds, reply, which rule read it, what was right."""
    with user_errors():
        from seekereval.report import facts_of
        from seekereval.results import read_results
        from seekereval.view import data_of, write_view

        results = read_results(run)
        page = write_view(results, html or run / "page.html", data or data_of(results), limit, facts_of(results))
        print(f"page: {page}")


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """List benchmarks, presets and other tools' rules."""
    with user_errors():
        from seekereval.listed import drawn, listed

        parts = listed()
        emit(parts, as_json, lambda: [drawn(parts)])


def _run(evaluation: Any, model: Any, out: Path | None, command: str, as_json: bool) -> int:
    """Run, print the score; returns how many plays another run may mend."""
    from seekereval.results import read_results
    from seekereval.run import SUBMISSION, folder_of
    from seekereval.run import run as start

    folder = out or folder_of(evaluation, model)
    display: Any = "none" if as_json else "rich" if sys.stderr.isatty() else "log"
    results = read_results(start(evaluation, model, folder, command, display))
    _print_scores([results], as_json)
    for error, count in Counter(row.error for row in results.graded if row.error).most_common(5):
        print(f"{count} of {len(results.graded)} items: {error}", file=sys.stderr)
    mendable = results.manifest["unanswered"] + results.manifest["states"].get("judge_failed", 0)
    if mendable:
        print(f"{mendable} may be mended: the same command asks only those again", file=sys.stderr)
    print(f"results: {folder}", file=sys.stderr)
    if (folder / SUBMISSION).exists():
        print(f"for its leaderboard: {folder / SUBMISSION}", file=sys.stderr)
    return mendable


def _dry_run(evaluation: Any, model: Any, price: Any, as_json: bool) -> None:
    """Show what a run would ask."""
    from seekereval.dry_run import drawn, dry_run

    facts = dry_run(evaluation, model, price)
    emit(facts, as_json, lambda: drawn(facts))


def _inventory_table(lines: list[Any]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "expected", "found", "verdict", "note", box=box.SIMPLE)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    return table


def _print_scores(results: list["Results"], as_json: bool, form: str = "table") -> None:
    """The numbers of runs; as JSON one object for one run, a list for several."""
    from seekereval import report as forms

    if form in forms.WRITERS and not as_json:
        print(forms.WRITERS[form](forms.report(results)), end="")
        return
    facts = [forms.facts_of(run) for run in results] if as_json else []
    emit(facts[0] if len(facts) == 1 else facts, as_json, lambda: [forms.drawn(forms.report(results))])


if __name__ == "__main__":
    app()
