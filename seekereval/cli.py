"""seekereval's command line. It has no verb yet; the data side comes first (see README.md)."""

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback(invoke_without_command=True)
def main() -> None:
    """Score any model on video benchmarks with visual prompts. Not built yet."""


if __name__ == "__main__":
    app()
