"""Secrets that are told from everything else, and the search for them in whatever a fleet says and keeps."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterable

from fleet import Fleet

from jobplatform.devstack.placement import postgres_programs

#: How those begin that are nowhere: hashed, masked, or not kept at all.
LOST = "zq7kx9vw"
#: How those begin that are encrypted wherever they are kept; with the key, they are shown to who may see payloads.
SEALED = "hm3dp5yn"
#: How those begin that payloads keep, as their types ask for no encryption; and that nobody is shown.
KEPT = "jw4qy8tb"
#: The columns that hold payloads and results as they are.
BODIES = {
    "jobs": ("payload", "result"), "dead_letter_jobs": ("payload", "edited_payload"),
    "job_schedules": ("payload_template",),
}  # fmt: skip


def traces(*roots: str) -> re.Pattern[bytes]:
    """Give what finds secrets, also backwards, in hexadecimal digits, and within what is written in base64."""
    spellings = [each for root in roots for each in _spellings(root.encode())]
    return re.compile(b"(?:" + b"|".join(map(re.escape, spellings)) + rb")[\w-]*")


def _spellings(root: bytes) -> Iterable[bytes]:
    yield root
    yield root[::-1]
    yield root.hex().encode()
    for shift in range(3):
        # Of the first and last digits, some bits are those of what stands beside.
        coded = base64.b64encode(b"\0" * shift + root)
        yield coded[(0, 2, 3)[shift] : len(coded) - (0, 3, 2)[(len(root) + shift) % 3]]


def found_in(text: str | bytes, wanted: re.Pattern[bytes]) -> set[str]:
    """List the secrets in a text, each with a little of what stands before it."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return {raw[max(each.start() - 60, 0) : each.end()].decode(errors="replace") for each in wanted.finditer(raw)}


def dumped(fleet: Fleet) -> bytes:
    """Give all that PostgreSQL has of a fleet, as text."""
    program = str(postgres_programs(None) / "pg_dump")
    argv = [program, "--data-only", "--schema", fleet.settings.schema, fleet.stack.database_url]
    return subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout


def held(fleet: Fleet) -> dict[str, bytes]:
    """Give all that Redis has, by key."""
    return {
        name.decode(errors="replace"): b"\n".join([name, *_contents(fleet, name)]) for name in fleet.redis.scan_iter()
    }


def _contents(fleet: Fleet, name: bytes) -> list[bytes]:
    redis = fleet.redis
    match redis.type(name):
        case b"list":
            found = redis.lrange(name, 0, -1)
        case b"hash":
            found = [part for pair in redis.hgetall(name).items() for part in pair]
        case b"set":
            found = list(redis.smembers(name))
        case b"zset":
            found = redis.zrange(name, 0, -1)
        case b"stream":
            found = [part for _, fields in redis.xrange(name) for pair in fields.items() for part in pair]
        case _:
            found = [redis.get(name) or b""]
    return [bytes(each) for each in found]


def rows_but_bodies(fleet: Fleet) -> dict[str, str]:
    """Give the rows of each table as text, without what payloads and results are kept in."""
    names = fleet.rows("select tablename as name from pg_tables where schemaname = %(schema)s",
                       schema=fleet.settings.schema)  # fmt: skip
    found = {}
    for name in (row["name"] for row in names):
        rows = fleet.rows(f"select to_jsonb(t) - %(but)s::text[] as row from @{name} t", but=list(BODIES.get(name, ())))
        found[name] = json.dumps([row["row"] for row in rows], ensure_ascii=False)
    return found
