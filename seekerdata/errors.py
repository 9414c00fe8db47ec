"""The errors this project raises on purpose. A user's mistake, a bad item and a model's mistake are three
different things, and each is told to a different reader; everything else is a bug and keeps its traceback.

    SeekerError   a user's mistake        one line on the terminal, exit code 2
    ItemError     a bad item              one ledger row with `code`; its siblings go on
    ToolError     a model's mistake       told to the model, in the same words in every package
"""


class SeekerError(Exception):
    """A user's mistake. Its text is what the user reads: what is wrong, where, and what to do."""


class ItemError(Exception):
    """One item cannot be processed. It becomes a `failed` row and never stops its siblings.

    Args:
        code: short name of the cause, counted in the manifest (`missing`, `bad_box`, ...).
        message: one line naming the file or field and the cause.
        retryable: True if the same input may succeed later (a server was down); such rows are tried
            again by the next run.
    """

    def __init__(self, code: str, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable

    def __reduce__(self) -> tuple:  # worker processes send these back to the parent
        return type(self), (self.code, self.message, self.retryable)


class ToolError(Exception):
    """A tool call that cannot be carried out. Its text is shown to the model, which may correct itself."""
