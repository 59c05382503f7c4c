"""The shipped roles, applied to the stack of a run: what each process may do, and nothing more."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis

from jobplatform.devstack.placement import postgres_programs
from jobplatform.devstack.stack import DevStack

DEPLOY = Path(__file__).parents[1] / "deploy"
_PASSWORD = "never-said-aloud"
#: The role in PostgreSQL that a user of Redis goes with.
_IN_POSTGRES = {"jp_controller": "jp_app"}


def grant(stack: DevStack, schema: str) -> None:
    """Apply the roles of PostgreSQL to a migrated schema, as an operator does."""
    script = DEPLOY / "postgres" / "roles.sql"
    variables = ["-v", f"schema={schema}"]
    argv = [str(postgres_programs(None) / "psql"), "-Xq", *variables, "-f", str(script), stack.database_url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def allow(stack: DevStack, *more: str) -> None:
    """Make the users of Redis, each with a password; that of the run itself stays.

    :param more: rules besides those of the file, such as for queues of other names.
    """
    with redis.Redis.from_url(stack.redis_url) as client:
        for line in (DEPLOY / "redis" / "users.acl").read_text().splitlines():
            _, name, *rules = line.split()
            if name != "default":
                client.execute_command("ACL", "SETUSER", name, "reset", *rules, *more, f">{_PASSWORD}")


def urls(stack: DevStack, user: str) -> dict[str, str]:
    """Give the variables that point a process to the stack under its least role."""
    database, broker = urlsplit(stack.database_url), urlsplit(stack.redis_url)
    role = _IN_POSTGRES.get(user, user)
    return {
        "DATABASE_URL": urlunsplit(database._replace(netloc=f"{role}@{database.netloc.rpartition('@')[2]}")),
        "REDIS_URL": urlunsplit(broker._replace(netloc=f"{user}:{_PASSWORD}@{broker.netloc.rpartition('@')[2]}")),
    }
