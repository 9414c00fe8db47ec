"""Progress: a bar for each stage with counts, rate and time left, on stderr."""

from types import TracebackType
from typing import Any

from seekerdata.build import Watch
from seekerdata.ledger import Row
from seekerdata.stage import Status


class Bars(Watch):
    """Draws what a build reports. `quiet` draws nothing (JSON output, a log file)."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [
            TextColumn("{task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        ]
        self._progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._task: Any = None
        self._counts: dict[Status, int] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int | None) -> None:
        self._counts = dict.fromkeys(Status, 0)
        self._task = self._progress.add_task(name, total=total, counts="", rate="")

    def row(self, row: Row, made: bool) -> None:
        self._counts[row.status] += 1
        self._advance(" ".join(f"{status} {n}" for status, n in self._counts.items() if n))

    def wrote(self) -> None:
        self._advance("written")

    def _advance(self, counts: str) -> None:
        speed = self._progress.tasks[self._task].speed
        rate = f"{speed:.1f}/s" if speed else ""
        self._progress.update(self._task, advance=1, counts=counts, rate=rate)
