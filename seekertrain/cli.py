"""seekertrain's command line: parse, load the recipe, call, print. The only file of the package that prints.

Under `accelerate launch` the first process speaks for all; another one speaks only of a mistake of its own.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from seekerdata.errors import SeekerError
from seekerdata.terminal import Changes, Json, Out, user_errors
from seekertrain.alarm import Stopped

if TYPE_CHECKING:
    from seekerdata.recipe import Recipe
    from seekertrain.check import Report
    from seekertrain.rl_check import RlReport

Kind = TypeVar("Kind", bound="Recipe")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train video models on tool trajectories.",
)

RecipePath = Annotated[Path, typer.Argument(help="A recipe, such as recipes/sft/quickstart.yaml.")]


@app.callback()
def main() -> None:
    """Forked workers of the data loader are why the tokenizer's own threads stay off; TRL would warn of its newest."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


@app.command()
def sft(recipe: RecipePath, changes: Changes = None, out: Out = None) -> None:
    """Train on the `sft` rows of a dataset, or go on where a run was stopped."""
    with user_errors(), told_once():
        from seekertrain.sft import SftRecipe, train

        model = train(_load(SftRecipe, recipe, changes, out), _tell)
        if _first():
            print(f"model: {model}")


@app.command()
def rl(recipe: RecipePath, changes: Changes = None, out: Out = None) -> None:
    """Train on rollouts of the `rl` rows of a dataset (GRPO), or go on where a run was stopped."""
    with user_errors(), told_once():
        from seekertrain.rl import RlRecipe, train_rl

        model = train_rl(_load(RlRecipe, recipe, changes, out), _tell)
        if _first():
            print(f"model: {model}")


@app.command()
def check(
    recipe: RecipePath,
    changes: Changes = None,
    rows: Annotated[int, typer.Option(help="Show so many rows of the first batch, or so many prompts.", min=0)] = 2,
    as_json: Json = False,
) -> None:
    """Show what a recipe of sft or rl would train: its first rows, lengths, memory, prompts. Nothing is trained."""
    with user_errors():
        from seekertrain.check import check as check_sft
        from seekertrain.rl import RlRecipe, kind_of
        from seekertrain.rl_check import check_rl
        from seekertrain.sft import SftRecipe

        report: Report | RlReport
        if kind_of(recipe, changes or ()) is RlRecipe:
            report = check_rl(_load(RlRecipe, recipe, changes, None), rows)
        else:
            report = check_sft(_load(SftRecipe, recipe, changes, None), rows)
        if as_json:
            print(json.dumps(report.facts(), ensure_ascii=False, indent=2, default=str))
        else:
            _print_report(report)
    if report.faults:
        raise typer.Exit(1)


@app.command(name="init-tiny")
def init_tiny(
    folder: Annotated[Path, typer.Argument(help="Where the model is written.")],
    seed: Annotated[int, typer.Option(help="Of its random weights.")] = 0,
) -> None:
    """Make a Qwen3-VL of two million parameters, for tests and a laptop."""
    with user_errors():
        from seekertrain.tiny import init_tiny as make

        make(folder, seed)
        print(f"model: {folder}")


def _print_report(report: "Report | RlReport") -> None:
    """The batch first, as long as it may be; then the figures."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    styles = {"trained": "bold green", "context": "", "picture": "cyan"}

    def drawn(kind: str, text: str) -> str:
        """Where there are no colours, signs tell what is trained."""
        return f"«{text}»" if kind == "trained" and not console.color_system else text

    for name, pieces in report.batch:
        console.rule(Text(name))
        console.print(Text.assemble(*((drawn(piece.kind, piece.text), styles[piece.kind]) for piece in pieces)))
    console.rule()
    kinds = {piece.kind for _, pieces in report.batch for piece in pieces}
    legend = [(drawn(kind, kind), style) for kind, style in styles.items() if kind in kinds]
    console.print(Text(", ").join(Text(*kind) for kind in legend))
    for title, facts in report.figures().items():
        if isinstance(facts, dict):
            facts = ", ".join(f"{key.replace('_', ' ')} {_figure(value)}" for key, value in facts.items())
        console.print(Text(f"{title}: {facts}"))
    print("assumed of the memory:", *report.assumptions, sep="\n- ")
    for fault in report.faults:
        print(f"fault: {fault}")


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _load(kind: type[Kind], path: Path, changes: list[str] | None, out: Path | None) -> Kind:
    from seekerdata.recipe import load_recipe

    try:
        return load_recipe(kind, path, [*(changes or ()), *([f"out={json.dumps(str(out))}"] if out else ())])
    except SeekerError:
        if _first():
            raise
        raise typer.Exit(2) from None  # the same mistake in every process: one tells it


@contextmanager
def told_once() -> Iterator[None]:
    """Of the processes of a run that stopped, the first says why before any of them ends: one that ends with an error
    is the launcher's sign to end the others."""
    try:
        yield
    except Stopped as reason:
        if _first():
            print(reason, file=sys.stderr, flush=True)
        if os.environ.get("WORLD_SIZE", "1") != "1":
            from accelerate import PartialState

            PartialState().wait_for_everyone()
        raise typer.Exit(2) from None


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _tell(line: str) -> None:
    if _first():
        print(line, file=sys.stderr)


if __name__ == "__main__":
    app()
