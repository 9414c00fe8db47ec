"""seekereval's command line: parse, call, print. The only file of the package that prints.

A user's mistake is one line on stderr and exit code 2.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seekerdata.cli import user_errors
from seekerdata.errors import SeekerError

if TYPE_CHECKING:
    from seekereval.results import Results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Score any model on video benchmarks with visual prompts.",
)

Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for machines.")]
Data = Annotated[Path | None, typer.Option(help="The folder of the benchmark's files.")]


@app.callback()
def main() -> None:
    """Score any model on video benchmarks with visual prompts."""


@app.command()
def score(
    benchmark: Annotated[str, typer.Argument(help="A benchmark, such as v2p_bench or mlvu:split=test.")],
    predictions: Annotated[Path, typer.Option(help="Another tool's file of replies; its content says which tool's.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Keep the graded items here, for report, diff and view.")] = None,
    judge: Annotated[str | None, typer.Option(help="The model that scores open answers, by its name.")] = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(metavar="FORM FILE", help="Also write videomme, mlvu_test or longvideobench_test."),
    ] = None,
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
    as_json: Json = False,
) -> None:
    """Put runs side by side: headline, states, groups, other tools' readings, tools, manifest."""
    with user_errors():
        from seekereval.report import FORMS, facts_of, names
        from seekereval.results import read_results

        if form not in FORMS:
            raise SeekerError(f"--format {form}: there is {', '.join(FORMS)}")
        results = [read_results(path) for path in runs]
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
        _show(found.facts(), as_json, lambda: drawn(found))


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
        _show(parts, as_json, lambda: [drawn(parts)])


def _print_scores(results: list["Results"], as_json: bool, form: str = "table") -> None:
    """The numbers of runs; as JSON one object for one run, a list for several."""
    from seekereval import report as forms

    if form in forms.WRITERS and not as_json:
        print(forms.WRITERS[form](forms.report(results)), end="")
        return
    facts = [forms.facts_of(run) for run in results] if as_json else []
    _show(facts[0] if len(facts) == 1 else facts, as_json, lambda: [forms.drawn(forms.report(results))])


def _show(facts: Any, as_json: bool, draw: Callable[[], list[Any]]) -> None:
    """Facts for machines, or what rich draws of them."""
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2, default=str))
        return
    from rich.console import Console

    for part in draw():
        Console().print(part)


if __name__ == "__main__":
    app()
