"""seekereval's command line: parse, call, print. The only file of the package that prints.

A user's mistake is one line on stderr and exit code 2.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seekerdata.cli import user_errors
from seekerdata.errors import SeekerError

if TYPE_CHECKING:
    from seekereval.diff import Diff
    from seekereval.results import Results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Score any model on video benchmarks with visual prompts.",
)

Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for machines.")]
Data = Annotated[Path | None, typer.Option(help="The folder of the benchmark's files.")]
FLIPS_SHOWN = 20


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
        from seekerdata.models import ModelSettings
        from seekereval.results import write_results
        from seekereval.score import said
        from seekereval.score import score as grade
        from seekereval.submission import write_submission

        results = grade(benchmark, predictions, data, ModelSettings(model=judge) if judge else None)
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
        from seekereval.diff import compare
        from seekereval.results import read_results

        found = compare(read_results(first), read_results(second))
        if as_json:
            _print_json(found.facts())
        else:
            _print_diff(found)


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
        facts = facts_of(results)
        page = write_view(results, html or run / "page.html", data or data_of(results), limit, _headline(facts))
        print(f"page: {page}")


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """List benchmarks, presets and other tools' rules."""
    with user_errors():
        from seekereval.listed import listed

        parts = listed()
        if as_json:
            _print_json(parts)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("kind", "name", "what it is", box=None)
        for kind, members in parts.items():
            for name, text in members.items():
                table.add_row(kind, Text(name), Text(text))
        Console().print(table)


def _print_scores(results: list["Results"], as_json: bool, form: str = "table") -> None:
    """The numbers of runs; as JSON one object for one run, a list for several."""
    from seekereval import report as forms

    if as_json:
        facts = [forms.facts_of(run) for run in results]
        _print_json(facts[0] if len(facts) == 1 else facts)
        return
    table = forms.report(results)
    if form == "table":
        from rich.console import Console

        Console().print(forms.drawn(table))
    else:
        writer = {"markdown": forms.markdown, "csv": forms.comma_separated, "latex": forms.latex}[form]
        print(writer(table), end="")


def _print_diff(found: "Diff") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from seekereval.results import short

    console, test = Console(), found.test
    table = Table("what differs", found.first.name, found.second.name, box=box.SIMPLE)
    for key, (a, b) in found.settings.items():
        table.add_row(Text(key), Text(short(a)), Text(short(b)))
    console.print(table if found.settings else "the two manifests say the same")
    told = found.facts()["items"]
    print(", ".join(f"{n} {name.replace('_', ' ')}" for name, n in told.items()))
    span = test.difference.ci95
    between = f" [{span[0]:+.1f}, {span[1]:+.1f}]" if span else ""
    chance = "unknown" if test.p is None else f"{test.p:.3g}"
    print(f"{test.first:.1f} and {test.second:.1f}: {test.difference.mean:+.1f}{between} points, p {chance}, ", end="")
    print(f"in pairs, {test.difference.clusters} videos")
    table = Table("item", "right", found.first.name, found.second.name, box=box.SIMPLE)
    for flip in found.flips[:FLIPS_SHOWN]:
        answers = [row.answer or str(row.state) for row in (flip.first, flip.second)]
        table.add_row(*(Text(short(text, 60)) for text in (flip.id, flip.gold, *answers)))
    if found.flips:
        console.print(table)
    if len(found.flips) > FLIPS_SHOWN:
        print(f"and {len(found.flips) - FLIPS_SHOWN} more; --json lists all")


def _headline(facts: dict[str, Any]) -> dict[str, str]:
    low, high = facts["ci95"] or (None, None)
    between = "" if low is None else f" [{low:.1f}–{high:.1f}]"
    states = {name.replace("_", " "): str(n) for name, n in facts["states"].items() if n}
    return {"score": f"{facts['headline']:.1f} %{between}", "items": str(facts["n"]), **states}


def _print_json(facts: Any) -> None:
    print(json.dumps(facts, ensure_ascii=False, indent=2, default=str))


if __name__ == "__main__":
    app()
