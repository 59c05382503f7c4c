"""How a command ends: its exit code and, when it fails, one line with the cause and the next command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO, Any

import click

from jobplatform import errors


class Exit(IntEnum):
    """What a shell learns of a command's outcome."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5


_CODES: tuple[tuple[type[errors.JobPlatformError], Exit], ...] = (
    (errors.JobNotFound, Exit.NOT_FOUND),
    (errors.ReplayNotFound, Exit.NOT_FOUND),
    (errors.WorkerNotFound, Exit.NOT_FOUND),
    (errors.ScheduleNotFound, Exit.NOT_FOUND),
    (errors.BatchNotFound, Exit.NOT_FOUND),
    (errors.ClusterNotFound, Exit.NOT_FOUND),
    (errors.WorkflowNotFound, Exit.NOT_FOUND),
    (errors.ModelNotFound, Exit.NOT_FOUND),
    (errors.DecisionNotFound, Exit.NOT_FOUND),
    (errors.BatchClosed, Exit.CONFLICT),
    (errors.ScheduleError, Exit.USAGE),
    (errors.NotQuarantined, Exit.NOT_FOUND),
    (errors.UnknownJobType, Exit.NOT_FOUND),
    (errors.UnknownQueue, Exit.NOT_FOUND),
    (errors.TransitionRefused, Exit.CONFLICT),
    (errors.SchemaConflict, Exit.CONFLICT),
    (errors.KeyTaken, Exit.CONFLICT),
    (errors.IdempotencyConflict, Exit.CONFLICT),
    (errors.UserNotFound, Exit.NOT_FOUND),
    (errors.BrokerNotOurs, Exit.FAILED),
    (errors.TargetRefused, Exit.USAGE),
    (errors.RestoreRefused, Exit.CONFLICT),
    (errors.StoreUnavailable, Exit.UNREACHABLE),
    (errors.SettingsError, Exit.USAGE),
    (errors.JobOptionError, Exit.USAGE),
    (errors.InvalidPayload, Exit.USAGE),
    (errors.Forbidden, Exit.FAILED),
    (errors.SignInRefused, Exit.FAILED),
    (errors.TooOften, Exit.FAILED),
    (errors.JobPlatformError, Exit.FAILED),
)

#: SQLSTATEs of a missing table, schema and column.
_TABLES_MISSING = frozenset({"42P01", "3F000", "42703"})
#: SQLSTATEs of a statement, and of a wait for a lock, that took too long.
_TOO_LONG = frozenset({"57014", "55P03"})
_NEXT = "jobplatform doctor tells more"


class CommandError(click.ClickException):
    """The end of a command that did not do what it was asked for."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr, with nothing in it that could steer a terminal."""
        from jobplatform.cli.output import clean

        click.echo(f"error: {clean(self.message)}", file=file or sys.stderr)


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the errors that users can meet into exit codes; usable as a decorator below those of click.

    :raises CommandError: in place of an error of the platform, of PostgreSQL or of Redis.
    """
    try:
        yield
    except errors.JobPlatformError as error:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        raise CommandError(str(error), code) from error
    except click.ClickException:
        raise
    except Exception as error:
        translated = _of_backend(error)
        if translated is None:
            raise
        raise translated from error


def _of_backend(error: Exception) -> CommandError | None:
    """Translate what a backend or its driver raised; drivers are loaded only when something went wrong."""
    from jobplatform.journal import inspection
    from jobplatform.store import database

    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "pgcode", None)
    cause = first_line(origin)
    if state in _TABLES_MISSING:
        message = f"the tables are missing or out of date ({cause}); run: jobplatform migrate"
        return CommandError(message, Exit.CONFLICT)
    if state in _TOO_LONG:
        return CommandError(f"PostgreSQL took too long ({cause}); ask for less, or try again", Exit.FAILED)
    if isinstance(error, database.UNREACHABLE):
        message = f"PostgreSQL cannot be reached ({cause}); check DATABASE_URL, {_NEXT}"
        return CommandError(message, Exit.UNREACHABLE)
    if isinstance(error, inspection.UNREACHABLE):
        return CommandError(f"Redis cannot be reached ({cause}); check REDIS_URL, {_NEXT}", Exit.UNREACHABLE)
    if type(error).__module__.startswith("alembic."):
        return CommandError(f"{cause}; jobplatform migrate --show names the revisions", Exit.USAGE)
    return None


def first_line(error: BaseException) -> str:
    """Give the first line of an error's text, its type when it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
