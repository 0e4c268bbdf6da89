"""The errors a user is meant to read: each message is one line that says what was given, needed and to do."""


class NearfieldError(Exception):
    """Base of the errors below; the command line prints the message alone and exits with `exit_code`."""

    exit_code = 1


class InputError(NearfieldError, ValueError):
    """A description, argument or setting that makes no sense."""

    exit_code = 2


class StoreError(NearfieldError):
    """A result store that is missing, damaged, foreign, or holds another sweep."""


class TaskError(NearfieldError):
    """A scenario raised while a worker computed a task. `details` holds the worker's traceback."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkerError(NearfieldError):
    """Workers kept dying on the same task, or Ray itself has died."""
