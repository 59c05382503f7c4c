"""Keys are rotated in the tables, and payloads are shown to who may see them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from command_line import CliEnvironment

from jobplatform.actions import keys, payloads
from jobplatform.actions.actor import Actor, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.records import new_job_id
from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.secrecy.sealing import LINK, seal, seal_payload
from jobplatform.settings import Settings
from jobplatform.store import audit, listing

KEYS = {name: f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2", "k3")}
OLD, BOTH, NEW = (parse_keys(",".join(KEYS[name] for name in names)) for names in (["k1"], ["k2", "k1"], ["k2"]))
PLAIN = '{"args":["canary"],"kwargs":{"card":"4111","n":7}}'


def add(cli: CliEnvironment, ring: KeyRing) -> str:
    """Write an encrypted job that failed, with an encrypted link; its letter and its row are encrypted alike."""
    job_id = new_job_id()
    link = seal(ring, PLAIN, LINK, "shop.mail", "payload")
    extra = {"embed": {"chain": [{"task": "shop.mail", "args": [], "kwargs": link}]}}
    cli.add(message=extra)
    return cli.fail(job_id=job_id, payload=seal_payload(ring, PLAIN, job_id, "shop.charge"))


def test_keys_are_rotated_and_payloads_shown(cli_environment: CliEnvironment, settings: Settings) -> None:
    cli = cli_environment
    ids = [add(cli, OLD) for _ in range(3)]
    plain = cli.add(payload='{"args":["x"],"kwargs":{"token":"canary","n":1}}')

    def nothing() -> None:
        raise AssertionError("not needed here")

    def desk(ring: KeyRing) -> Desk:
        return Desk(replace(settings, encryption_keys=ring), cli.database, nothing, nothing)

    def shown(ring: KeyRing, actor: Actor, job_id: str) -> object:
        with cli.database.session() as session:
            row = listing.show_job(session, job_id)
        assert row is not None
        return payloads.shown(desk(ring), actor, row)["payload"]

    root = at_terminal("root")
    reader = Actor("eve", Via.PAGE, ROLES["viewer"])
    allowed = Actor("ann", Via.PAGE, ROLES["viewer"] | {Permission.JOBS_PAYLOAD})
    seen = {"args": ["canary"], "kwargs": {"card": "***", "n": 7}}
    assert shown(OLD, root, ids[0]) == shown(BOTH, allowed, ids[0]) == seen
    assert shown(NEW, root, ids[0]) == shown(KeyRing(), root, ids[0]) == "encrypted"
    assert shown(OLD, reader, ids[0]) == shown(OLD, reader, plain) == payloads.WITHHELD
    assert shown(KeyRing(), root, plain) == {"args": ["x"], "kwargs": {"token": "***", "n": 1}}

    assert keys.rotate(desk(BOTH), root, dry_run=True).left == 9
    assert shown(NEW, root, ids[0]) == "encrypted"
    stuck = keys.rotate(desk(NEW), root)
    assert (stuck.left, stuck.unreadable, stuck.resealed) == (9, 9, 0)
    ring = {"JOBPLATFORM_ENCRYPTION_KEYS": f"{KEYS['k2']},{KEYS['k1']}"}
    told = cli.run("keys", "rotate", "--json", **ring)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"key": "k2", "found": 9, "resealed": 9, "unreadable": 0, "left": 0}
    assert all(shown(NEW, root, job_id) == seen for job_id in ids)
    with cli.database.session() as session:
        assert [row["action"] for row in audit.listed(session, 10)] == ["keys.rotate", "keys.rotate"]
        rows = session.connection.exec_driver_sql(
            f"select payload::text, message::text from {settings.schema}.jobs"
            f" union all select payload::text, null from {settings.schema}.dead_letter_jobs"
        ).all()
    assert '"k1"' not in str(rows) and str(rows).count('"k2"') == 9
    again = cli.run("keys", "rotate", **ring)
    assert "0 rows are encrypted again, 0 of 9 have another key" in again.output


def test_a_dead_letter_of_an_encrypted_job_is_edited_with_the_key(cli_environment: CliEnvironment) -> None:
    job_id = add(cli_environment, OLD)
    letter = cli_environment.json("dlq", "list")["dead_letters"][0]["dlq_id"]
    refused = cli_environment.run("dlq", "edit", str(letter), "--set", "kwargs.n=8")
    assert refused.exit_code == 1 and "JOBPLATFORM_ENCRYPTION_KEYS" in refused.output
    ring = {"JOBPLATFORM_ENCRYPTION_KEYS": KEYS["k1"]}
    done = cli_environment.run("dlq", "edit", str(letter), "--set", "kwargs.n=8", **ring)
    assert done.exit_code == 0, done.output
    with cli_environment.database.session() as session:
        (edited,) = session.connection.exec_driver_sql(
            f"select edited_payload::text from {cli_environment.env['JOBPLATFORM_SCHEMA']}.dead_letter_jobs"
        ).scalars()
    assert "canary" not in edited and job_id in edited


def test_a_new_key_is_made(cli_environment: CliEnvironment) -> None:
    made = cli_environment.run("keys", "new", "k9")
    assert parse_keys(made.stdout.strip(), exactly=32).first == "k9"
    assert cli_environment.run("keys", "new", "k 9").exit_code == 2
