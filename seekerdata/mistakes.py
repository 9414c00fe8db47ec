"""Mistakes: everything that is wrong with one row, told at once, so that nobody repairs a row twice."""

from typing import Any

from seekerdata.errors import ItemError

SHOWN_CHARS = 60


class Mistakes:
    """Collects what is wrong with one row.

    Args:
        where: file and line, put before the text: `raw_qa.jsonl:12`.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._found: list[tuple[str, str, ItemError | None]] = []

    def add(self, code: str, text: str) -> None:
        """Note one mistake: a short code that is counted, and words that name field, value and limit."""
        self._found.append((code, text, None))

    def add_error(self, error: ItemError) -> None:
        """Note an error that says by itself which file it is about."""
        self._found.append((error.code, error.message, error))

    def raise_any(self) -> None:
        """Raise what was found, coded as the first of it; an error that stands alone is raised as it came.

        Raises:
            ItemError: there was at least one mistake.
        """
        if not self._found:
            return
        code, _, error = self._found[0]
        if error is not None and len(self._found) == 1:
            raise error
        raise ItemError(code, f"{self.where}: " + "; ".join(text for _, text, _ in self._found))


def shown(value: Any) -> str:
    """A value as one short line for an error text."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"
