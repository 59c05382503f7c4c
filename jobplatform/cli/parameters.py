"""What users type, read into values: durations, times, job ids and page cursors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from jobplatform.cli.output import iso
from jobplatform.records import job_id_of

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(_SECONDS)})")
_LONGEST = 100 * 366 * 86_400


class _Text(click.ParamType):  # type: ignore[type-arg]
    """A parameter that is read from text once."""

    wanted = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.read(value.strip())
        except (ValueError, OverflowError):
            self._refuse(value, param, ctx)

    def read(self, text: str) -> object:
        """Read the text, or raise ValueError."""
        raise NotImplementedError

    def _refuse(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        self.fail(f"{value!r} cannot be read; give {self.wanted}", param, ctx)


class Duration(_Text):
    """A length of time, such as ``90s`` or ``1h30m``, as a timedelta."""

    name = "duration"
    wanted = "a duration such as 10s, 5m, 1h30m or 2d"

    def read(self, text: str) -> timedelta:
        """Add up the parts; a bare number is seconds."""
        if re.fullmatch(r"\d+(\.\d+)?", text):
            text += "s"
        if not re.fullmatch(f"(?:{_PART.pattern})+", text):
            raise ValueError(text)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        if seconds > _LONGEST:
            raise ValueError(text)
        return timedelta(seconds=seconds)


class Moment(_Text):
    """A time in ISO 8601, in UTC unless it names its offset."""

    name = "time"
    wanted = "an ISO time such as 2026-01-31T12:00:00Z"

    def read(self, text: str) -> datetime:
        """Read the time."""
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Since(_Text):
    """A time, or a duration before now."""

    name = "time or duration"
    wanted = "a duration such as 1h, or an ISO time"

    def read(self, text: str) -> datetime:
        """Read the time."""
        try:
            return datetime.now(UTC) - Duration().read(text)
        except ValueError:
            return Moment().read(text)


class Until(_Text):
    """A time, or a duration from now."""

    name = "time or duration"
    wanted = "a duration such as 2h, or an ISO time"

    def read(self, text: str) -> datetime:
        """Read the time."""
        try:
            return datetime.now(UTC) + Duration().read(text)
        except ValueError:
            return Moment().read(text)


class JobId(_Text):
    """A job id in full; a Celery task id that is no UUID stands for the job id made from it."""

    name = "job id"

    def read(self, text: str) -> str:
        """Give the job id."""
        return job_id_of(text)


class Cursor(_Text):
    """The end of a page of jobs: when its last job was created, and that job's id."""

    name = "cursor"
    wanted = "the cursor that the page before printed"

    def read(self, text: str) -> tuple[datetime, str]:
        """Read what ``write`` wrote."""
        moment, _, job_id = text.partition("_")
        if job_id_of(job_id) != job_id:
            raise ValueError(text)
        return Moment().read(moment), job_id

    @staticmethod
    def write(created_at: datetime, job_id: str) -> str:
        """Write the cursor of a page."""
        return f"{iso(created_at)}_{job_id}"


class Sizes(_Text):
    """A number of workers, or the least and the most."""

    name = "sizes"
    wanted = "a number such as 3, or the least and the most such as 2..5"

    def read(self, text: str) -> tuple[int, int]:
        """Read one or two numbers."""
        least, _, most = text.partition("..")
        sizes = int(least), int(most or least)
        if not 0 <= sizes[0] <= sizes[1] or sizes[1] == 0:
            raise ValueError(text)
        return sizes


DURATION = Duration()
MOMENT = Moment()
SINCE = Since()
UNTIL = Until()
JOB_ID = JobId()
CURSOR = Cursor()
SIZES = Sizes()
DIRECTORY = click.Path(file_okay=False, path_type=Path)
