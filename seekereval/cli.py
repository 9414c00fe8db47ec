"""seekereval's command line: parse, call, print. The only file of the package that prints.

A user's mistake is one line on stderr and exit code 2; a folder that lacks something is exit code 1.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seekerdata.cli import user_errors

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
        if as_json:
            print(json.dumps(facts, ensure_ascii=False, indent=2))
        else:
            _print_inventory(lines)
            print(f"{which.plugin_name()}: {where} (licence: {which.licence})")
    if any(line.verdict in ("missing", "differs") for line in lines):
        raise typer.Exit(1)


def _print_inventory(lines: list[Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "expected", "found", "verdict", "note", box=box.SIMPLE)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)


if __name__ == "__main__":
    app()
