"""The two ways a backend fails: a model that cannot be served, and a request that cannot be answered.

A message is one line that says what was wrong, where, and what to do. It reaches the operator (load) or the client
(request) as it is, so it never holds a traceback.
"""

_LONGEST_MESSAGE = 1000


def one_line(error: BaseException | str) -> str:
    """The error's text on one line, shortened when a framework explains itself at length."""
    text = " ".join(str(error).split())
    if not text:
        return type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."


class BackendError(Exception):
    """Base of the errors that a backend raises on purpose; its message is always one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class LoadError(BackendError):
    """The model cannot be served: its file, its configuration or its framework is at fault."""


class RequestError(BackendError):
    """The request cannot be answered; `invalid` when the caller must change it, else the model failed."""

    def __init__(self, message: str, *, invalid: bool = False) -> None:
        super().__init__(message)
        self.invalid = invalid
