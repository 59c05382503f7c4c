"""Limits on the command line."""

from __future__ import annotations

from command_line import CliEnvironment

from jobplatform.cli.exits import Exit
from jobplatform.store import limits
from jobplatform.store.database import Database
from jobplatform.transport import keys


def test_limits_are_set_listed_and_removed(cli_environment: CliEnvironment, client: object) -> None:
    cli_environment.json("limits", "set", "queue:mail", "--slots", "7", "--rate", "30/m")
    client.hset(keys.USED, "queue:mail", 3)  # type: ignore[attr-defined]
    (row,) = cli_environment.json("limits", "list")["limits"]
    assert (row["name"], row["slots"], row["rate"], row["used"], row["waiting"]) == ("queue:mail", 7, 0.5, 3, 0)
    assert cli_environment.json("limits", "remove", "queue:mail") == {"removed": ["queue:mail"]}
    assert cli_environment.json("limits", "list") == {"limits": [], "queues": []}


def test_order_and_weights_are_set(cli_environment: CliEnvironment, database: Database) -> None:
    cli_environment.json("limits", "order", "mail", "--fair", "--age", "5m")
    cli_environment.json("limits", "weight", "mail", "acme", "4")
    (row,) = cli_environment.json("limits", "list")["queues"]
    assert row == {"queue": "mail", "fair": True, "age_seconds": 300.0, "weights": {"acme": 4.0}}
    with database.transaction() as transaction:
        assert limits.rules(transaction) == {"fair:mail": "1", "age:mail": "300", "weight:mail:acme": "4"}


def test_what_cannot_be_is_refused_with_what_to_do(cli_environment: CliEnvironment) -> None:
    for arguments, words in (
        (("set", "mail", "--slots", "7"), "write queue:mail"),
        (("set", "queue:mail"), "give slots or a rate"),
        (("set", "queue:mail", "--rate", "soon"), "write 100/s"),
    ):
        result = cli_environment.run("limits", *arguments)
        assert result.exit_code == Exit.USAGE
        assert words in result.stderr
    result = cli_environment.run("limits", "remove", "queue:none")
    assert result.exit_code == Exit.NOT_FOUND
