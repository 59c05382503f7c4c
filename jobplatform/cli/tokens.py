"""The group ``tokens``: what programs come in with."""

from __future__ import annotations

from datetime import timedelta

import click

from jobplatform.actions import people as actions
from jobplatform.actions.actor import Scope
from jobplatform.cli.desk import open_desk, operator
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION
from jobplatform.cli.within import may_option, scoping

_COLUMNS = (
    *("token_id", "name", "user", "permissions", "queues", "tenants", "created_at", "used_at", "expires_at"),
    "revoked_at",
)
_ID = click.IntRange(min=1, max=2**63 - 1)


@click.group(short_help="Make, list and revoke tokens of programs.")
def tokens() -> None:
    """Make, list and revoke tokens, with which programs use the HTTP API.

    A token may never do more than its user, and counts until its time is over or it is revoked.
    """


@tokens.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Tokens on a page.")
@click.option("--page", "after", type=_ID, default=None, metavar="CURSOR", help="The cursor of the page before.")
@json_option
@mapped()
def list_tokens(limit: int, after: int | None, output: Output) -> None:
    """List tokens, without what programs keep of them."""
    with open_desk() as (desk, actor):
        found = actions.list_tokens(desk, actor, limit + 1, after or 0)
    cursor = str(found[limit - 1]["token_id"]) if len(found) > limit else None
    output.page("tokens", found[:limit], _COLUMNS, cursor)


@tokens.command("add")
@click.argument("name")
@click.option("--user", help="Whose it is; who is logged in, if not given.")
@may_option
@click.option("--lasts", type=DURATION, default="90d", show_default=True, help="For how long it counts.")
@scoping
@json_option
@mapped()
def add_token(
    name: str, user: str | None, may: tuple[str, ...], lasts: timedelta, scope: Scope | None, output: Output
) -> None:
    """Make a token, and print what the program keeps of it; nobody can see that again."""
    if not may:
        raise click.UsageError("nothing says what it may do; give --may, such as --may jobs.read")
    with open_desk() as (desk, actor):
        made = actions.add_token(desk, actor, user or operator(), name, may, lasts, scope or Scope())
    if output.as_json:
        output.json({"token_id": made.token_id, "secret": made.secret})
    else:
        output.note(f"token {made.token_id}; this is shown once:")
        output.line(made.secret)


@tokens.command("revoke")
@click.argument("token_id", type=_ID)
@json_option
@mapped()
def revoke_token(token_id: int, output: Output) -> None:
    """Let a token count no more."""
    with open_desk() as (desk, actor):
        name = actions.revoke_token(desk, actor, token_id)
    if output.as_json:
        output.json({"token_id": token_id, "name": name})
    else:
        output.line(f"token {token_id} ({name}) counts no more")
