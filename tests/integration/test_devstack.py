"""The development stack and the supervisor, with real servers and real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis
from scripts import GONE_SECONDS, ROOT, all_end, family, finish, script

from jobplatform.devstack.stack import DevStack, read_running
from jobplatform.errors import DevStackError
from jobplatform.settings import Settings

POSTGRES = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "server_encoding": "UTF8",
}
REDIS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": str(512 * 1024 * 1024),
    "maxmemory-policy": "noeviction",
    "save": "900 1 300 10 60 10000",
    "dir": "",
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[DevStack]:
    made = DevStack(tmp_path / "stack")
    yield made
    made.erase()


def query(url: str, sql: str) -> list[Any]:
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def ping(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.ping())


def test_servers_have_the_promised_settings(stack: DevStack) -> None:
    stack.start()
    shown = {name: query(stack.database_url, f"SHOW {name}")[0] for name in POSTGRES}
    assert shown == POSTGRES
    assert query(stack.database_url, "SELECT current_database()") == ["jobplatform"]
    assert query(stack.database_url, "SELECT current_user::text") == ["postgres"]
    with redis.Redis.from_url(stack.redis_url) as client:
        config = {name: client.config_get(name)[name] for name in REDIS}
    assert config == {**REDIS, "dir": str(stack.directory / "redis")}


def test_a_restart_keeps_rows_keys_and_urls_and_leaves_no_process(stack: DevStack) -> None:
    stack.start()
    urls = stack.environment()
    query(stack.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
    with redis.Redis.from_url(stack.redis_url) as client:
        client.set("kept", 7)
    processes = family([stack.postgres.pid, stack.redis.pid])
    assert len(processes) > 2
    stack.stop()
    assert all_end(processes)
    with stack:
        assert stack.environment() == urls
        assert query(stack.database_url, "SELECT n FROM kept") == [7]
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.get("kept") == b"7"


def test_one_server_stops_and_starts_alone_on_its_port(stack: DevStack) -> None:
    stack.start()
    redis_pid = stack.redis.pid
    stack.postgres.stop()
    with pytest.raises(psycopg2.OperationalError):
        query(stack.database_url, "SELECT 1")
    with pytest.raises(DevStackError, match="not running"):
        _ = stack.postgres.pid
    assert ping(stack.redis_url)
    stack.postgres.start()
    assert query(stack.database_url, "SELECT 1") == [1]
    assert stack.redis.pid == redis_pid
    with pytest.raises(DevStackError, match="already running"):
        stack.redis.start()


def test_two_stacks_run_side_by_side(stack: DevStack, tmp_path: Path) -> None:
    other = DevStack(tmp_path / "other")
    try:
        stack.start()
        other.start()
        query(stack.database_url, "CREATE TABLE mine ()")
        assert query(other.database_url, "SELECT to_regclass('mine')") == [None]
        assert len({*stack.environment().values(), *other.environment().values()}) == 4
        stack.stop()
        assert ping(other.redis_url) and query(other.database_url, "SELECT 1") == [1]
    finally:
        other.erase()


def test_servers_that_were_killed_start_again(stack: DevStack) -> None:
    stack.start()
    query(stack.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
    stack.postgres.kill(signal.SIGKILL)
    stack.redis.kill(signal.SIGKILL)
    stack.postgres.start()
    stack.redis.start()
    assert query(stack.database_url, "SELECT n FROM kept") == [7]
    assert ping(stack.redis_url)
    stack.postgres.kill(signal.SIGKILL)
    stack.redis.kill(signal.SIGKILL)
    stack.stop()
    with stack:
        assert query(stack.database_url, "SELECT n FROM kept") == [7]


HOLD = """
import sys
from pathlib import Path
from jobplatform.devstack.stack import DevStack
with DevStack(Path(sys.argv[1])) as stack:
    print(stack.postgres.pid, stack.redis.pid)
    sys.stdin.read()
"""


def test_servers_end_with_a_killed_parent_and_start_again(stack: DevStack) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(stack.directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        processes = family([int(pid) for pid in holder.stdout.readline().split()])
        running = read_running(stack.directory)
        assert running is not None and running.pid == holder.pid
        query(running.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
        with pytest.raises(DevStackError, match=f"already runs .*process {holder.pid}"):
            stack.start()
        holder.kill()
    if sys.platform == "linux":
        assert all_end(processes)
    assert read_running(stack.directory) is None
    stack.start()
    assert stack.environment() == running.environment()
    assert query(stack.database_url, "SELECT n FROM kept") == [7]


def test_a_running_stack_is_found_and_its_record_is_private(stack: DevStack) -> None:
    stack.start()
    found = read_running(stack.directory)
    assert found == stack.info and found is not None
    assert found.environment() == stack.environment()
    assert (stack.directory / "stack.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(DevStackError, match="already runs"):
        DevStack(stack.directory).start()
    stack.stop()
    assert read_running(stack.directory) is None


def test_given_urls_start_no_server(tmp_path: Path) -> None:
    settings = Settings(database_url="postgresql://h/d", redis_url="redis://h/0")
    with DevStack(tmp_path, settings) as stack:
        assert stack.environment() == {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h/0"}
        with pytest.raises(DevStackError, match="runs no PostgreSQL"):
            _ = stack.postgres
    assert {path.name for path in tmp_path.iterdir()} == {"stack.lock", "stack.json"}


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (tmp_path / "stack.json").write_text(json.dumps({"redis_port": port, "postgres_port": 1}))
        stack = DevStack(tmp_path, Settings(database_url="postgresql://h/d"))
        with pytest.raises(DevStackError, match=f"port {port} is taken"):
            stack.start()
    stack.start()
    stack.stop()


def test_a_lock_file_of_another_programs_process_is_dropped(stack: DevStack) -> None:
    stack.start()
    lock = stack.postgres.data / "postmaster.pid"
    text = lock.read_text().splitlines()
    stack.postgres.kill(signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text("\n".join([str(stranger.pid), *text[1:]]) + "\n")
        stack.postgres.start()
        assert query(stack.database_url, "SELECT 1") == [1]
        stranger.kill()


def test_broken_data_is_reported_with_the_log(stack: DevStack) -> None:
    stack.start()
    stack.stop()
    (stack.postgres.data / "PG_VERSION").write_text("9.1\n")
    with pytest.raises(DevStackError, match=r"(?s)ended while starting.*9\.1"):
        stack.start()
    assert read_running(stack.directory) is None


PLAIN = """
import os, sys
from pathlib import Path
from jobplatform.devstack.stack import DevStack
assert os.geteuid() != 0
with DevStack(Path(sys.argv[1])) as stack:
    print(stack.database_url, (Path(sys.argv[1]) / "postgres").is_symlink())
print("stopped")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="we are a plain user already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv, to become a plain user, is missing")
def test_a_plain_user_runs_the_stack() -> None:
    # The capability lets the plain user read an interpreter that lies in root's home.
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    become = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *reading)
    directory = Path(tempfile.mkdtemp())
    try:
        shutil.chown(directory, "nobody")
        with script(PLAIN, str(directory / "stack"), prefix=become) as process:
            output = finish(process)
        assert process.returncode == 0, output
        assert output.splitlines()[0].endswith("/jobplatform False")
        assert output.splitlines()[-1] == "stopped"
    finally:
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_keeps_the_data_in_a_directory_that_postgres_can_reach() -> None:
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o711)
    stack = DevStack(directory / "stack")
    try:
        with stack:
            assert psutil.Process(stack.postgres.pid).uids().effective != 0
            assert not (directory / "stack" / "postgres").is_symlink()
    finally:
        stack.erase()
        directory.rmdir()


def test_a_stack_of_another_thread_lives_as_long_as_that_thread(stack: DevStack) -> None:
    done = threading.Event()
    ready = threading.Event()

    def hold() -> None:
        with stack:
            ready.set()
            done.wait(GONE_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert ready.wait(GONE_SECONDS) and ping(stack.redis_url)
    finally:
        done.set()
        thread.join()
    assert read_running(stack.directory) is None
