"""Terminal: how the commands of all three packages speak to a person or, with --json, to a machine.

A user's mistake is one line and exit code 2, Ctrl-C is 130, SIGTERM is 75; a bug keeps its traceback.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from seekerdata.errors import SeekerError

TEMPORARY_FAILURE = 75
"""Exit code after SIGTERM (sysexits.h EX_TEMPFAIL): a scheduler may start the same command again."""

Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key, such as source.videos=8.")
]
Out = Annotated[Path | None, typer.Option(help="The run folder; the recipe's own by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for machines.")]


@contextmanager
def user_errors() -> Iterator[None]:
    """A user's mistake ends the command with its text and exit code 2; Ctrl-C and SIGTERM say how to go on."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except SeekerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        print("stopped; finished work is kept, run the same command again to go on", file=sys.stderr)
        raise typer.Exit(130) from None


def teller(quiet: bool) -> Callable[[str], None]:
    """Says on stderr what is being done; without a terminal, or for machines, the hub's own bars are not drawn."""
    from huggingface_hub.utils import disable_progress_bars

    if quiet or not sys.stderr.isatty():
        disable_progress_bars()
    return lambda line: None if quiet else print(line, file=sys.stderr)


def emit(facts: Any, as_json: bool, drawn: Callable[[], Iterable[Any]]) -> None:
    """Facts for machines, or what is drawn of them for a person: lines, and tables of rich."""
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2, default=str))
        return
    for part in drawn():
        if isinstance(part, str):
            print(part)
            continue
        from rich.console import Console

        Console().print(part)


def _terminated(number: int, frame: object) -> None:
    print("terminated; finished work is kept, run the same command again to go on", file=sys.stderr)
    raise SystemExit(TEMPORARY_FAILURE)
