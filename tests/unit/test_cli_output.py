"""The command line without any server: what it prints, reads and answers to errors."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime, timedelta
from importlib import import_module

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from jobplatform import errors
from jobplatform.cli import COMMANDS, main
from jobplatform.cli.exits import Exit, mapped
from jobplatform.cli.output import Output, cell, clean, iso
from jobplatform.cli.parameters import Cursor, Duration, JobId, Moment, Since
from jobplatform.cli.submit import pauses, read_payload

HOSTILE = {
    "\x1b[31mred\x1b[0m": "red",
    "\x1b]0;title\x07text": "text",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x9b2Jwiped": "wiped",
    "bell\x07 back\x08space": "bell backspace",
    "first\r\nsecond\rthird": "first secondthird",
    "tab\tbed": "tab    bed",
    "\u202egnp.exe": "gnp.exe",
    "a\u2066b\u2069c\u200f": "abc",
    "line\u2028end": "lineend",
    "plain [bold]markup[/bold] :smile:": "plain [bold]markup[/bold] :smile:",
    "grüße שלום 日本": "grüße שלום 日本",
    "\x1b": "",
    "\ud800lone": "lone",
}


@pytest.mark.parametrize(("text", "wanted"), HOSTILE.items())
def test_clean_takes_out_what_could_steer_a_terminal(text: str, wanted: str) -> None:
    assert clean(text) == wanted


@given(st.text(), st.booleans())
def test_a_clean_text_has_nothing_unsafe_left(text: str, lines: bool) -> None:
    cleaned = clean(text, lines=lines)
    allowed = "\n" if lines else ""
    assert all(part in allowed or unicodedata.category(part) not in {"Cc", "Cf", "Cs"} for part in cleaned)
    assert clean(cleaned, lines=lines) == cleaned


def test_a_cell_is_one_line() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    assert cell(None) == "-"
    assert cell(True) == "yes"
    assert cell({"a": "\x1b[1m\n"}) == '{"a": "\\u001b[1m\\n"}'
    assert cell(moment.astimezone()) == "2026-01-02T03:04:05Z"
    assert iso(moment) == "2026-01-02T03:04:05.600000Z"


def test_a_pipe_gets_aligned_text_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"job_id": "1", "error": "\x1b[31mbad"}, {"job_id": "22", "error": "日本"}]
    Output().table(rows, ("job_id", "error"), empty="none")
    assert capsys.readouterr().out == "JOB_ID  ERROR\n1       bad\n22      日本\n"


def test_an_empty_table_is_a_note_and_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table([], ("job_id",), empty="no such jobs")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no such jobs\n")


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_gets_a_table_that_honours_no_color(
    colour: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    Output().table([{"job_id": "\x1b[41m[red]x[/red]"}], ("job_id",), empty="none")
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "\x1b[41m" not in out
    assert "\x1b[3" not in out


def test_json_keeps_every_character_and_stays_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    Output(as_json=True).json([{"text": "\x1b[31m\u202e", "at": moment}])
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out
    assert json.loads(out) == [{"text": "\x1b[31m\u202e", "at": "2026-01-01T00:00:00.000000Z"}]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("250ms", 0.25), ("7", 7)],
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "10 s", "-5s", "1y", "9" * 400 + "d", "9999999d"])
def test_a_bad_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="1h30m"):
        Duration().convert(text, None, None)


def test_moments_are_utc_unless_they_name_their_offset() -> None:
    assert Moment().convert("2026-01-01T12:00:00", None, None) == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert Moment().convert("2026-01-01T12:00:00+02:00", None, None) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert Since().convert("2026-01-01", None, None) == datetime(2026, 1, 1, tzinfo=UTC)
    assert abs(datetime.now(UTC) - Since().convert("1h", None, None) - timedelta(hours=1)) < timedelta(minutes=1)
    with pytest.raises(click.BadParameter, match="ISO time"):
        Moment().convert("tomorrow", None, None)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_reads_what_it_wrote(moment: datetime, job_id: object) -> None:
    text = Cursor.write(moment, str(job_id))
    assert Cursor().convert(text, None, None) == (moment, str(job_id))


@pytest.mark.parametrize("text", ["", "x", "2026-01-01T00:00:00Z_", "2026-01-01T00:00:00Z_1", "_" * 40])
def test_a_bad_cursor_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="page before"):
        Cursor().convert(text, None, None)


def test_a_job_id_may_be_a_foreign_task_id() -> None:
    upper = "0191B7A0-0000-7000-8000-000000000001"
    assert JobId().convert(upper, None, None) == upper.lower()
    assert JobId().convert("my-task", None, None) == JobId().convert("my-task", None, None) != "my-task"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.JobNotFound("gone"), Exit.NOT_FOUND),
        (errors.UnknownJobType("unknown"), Exit.NOT_FOUND),
        (errors.TransitionRefused("runs"), Exit.CONFLICT),
        (errors.InvalidPayload("kwargs.x", "it is a set", "pass a list"), Exit.USAGE),
        (errors.StoreUnavailable("both away"), Exit.UNREACHABLE),
        (errors.DevStackError("no port"), Exit.FAILED),
    ],
)
def test_errors_become_one_line_and_a_code(error: Exception, code: Exit) -> None:
    @click.command()
    @mapped()
    def command() -> None:
        raise error

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"error: {error}\n")


def test_an_unforeseen_error_is_not_hidden() -> None:
    with pytest.raises(KeyError), mapped():
        raise KeyError("a bug")


@pytest.mark.parametrize("text", ["{", "3", '"x"', "null", "[" * 100_000])
def test_a_payload_that_is_no_object_or_list_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidPayload, match="give an object or a list"):
        read_payload(text)


def test_a_payload_gives_arguments_by_name_or_by_position() -> None:
    assert read_payload('{"x": 1}') == ([], {"x": 1})
    assert read_payload("[1, 2]") == ([1, 2], {})


def test_waiting_asks_at_least_twice() -> None:
    assert len(list(pauses(0.01))) == 2


def test_every_command_is_there_under_the_help_that_it_has() -> None:
    for name, (module, line) in COMMANDS.items():
        command = getattr(import_module(module), name)
        assert (command.name, command.short_help) == (name, line)


def test_help_loads_no_backend() -> None:
    code = (
        "import sys; from jobplatform.cli import main; main(['--help'], standalone_mode=False);"
        "print([m for m in ('sqlalchemy', 'redis', 'celery', 'kombu', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "doctor" in run.stdout and "5 backend unreachable" in " ".join(run.stdout.split())


@pytest.mark.parametrize("arguments", [["nonsense"], ["jobs", "list", "--state", "LOST"], ["dlq", "replay"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == Exit.USAGE
