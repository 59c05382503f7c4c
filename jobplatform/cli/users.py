"""The group ``users``: who may come in, and as what."""

from __future__ import annotations

import sys

import click

from jobplatform.actions import people as actions
from jobplatform.actions.actor import Scope
from jobplatform.actions.permission import ROLES
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.within import may_option, scoping

_COLUMNS = ("name", "role", "more", "queues", "tenants", "created_at", "seen_at", "disabled_at")
_ROLE = click.Choice(list(ROLES))


@click.group(short_help="Say who may come in, and as what.")
def users() -> None:
    """Say who may come in, and as what.

    A viewer sees all but payloads, an operator steers jobs, queues and workers, an admin does everything. Passwords are
    asked for, or read from the first line of standard input; they are never an argument, which others could see.
    """


@users.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Users on a page.")
@click.option("--page", "after", default="", metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_users(limit: int, after: str, output: Output) -> None:
    """List users by name."""
    with open_desk() as (desk, actor):
        found = actions.list_users(desk, actor, limit + 1, after)
    output.page("users", found[:limit], _COLUMNS, found[limit - 1]["name"] if len(found) > limit else None)


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLE, default="viewer", show_default=True, help="What they may do.")
@may_option
@scoping
@json_option
@mapped()
def add_user(name: str, role: str, may: tuple[str, ...], scope: Scope | None, output: Output) -> None:
    """Add a user, whose password is asked for."""
    password = read_password(f"Password of {name}")
    with open_desk() as (desk, actor):
        actions.add_user(desk, actor, name, password, role, may, scope)
    _tell(name, role, f"{name} may come in as {role}", output)


@users.command("change")
@click.argument("name")
@click.option("--role", type=_ROLE, help="What they may do.")
@may_option
@click.option("--no-more", is_flag=True, help="Take away all that --may gave.")
@scoping
@click.option("--everywhere", is_flag=True, help="In all queues, jobs of all tenants.")
@click.option("--password", "anew", is_flag=True, help="Ask for a new password.")
@click.option("--disable/--enable", "disabled", default=None, help="Let them not come in any more, or again.")
@json_option
@mapped()
def change_user(
    name: str,
    role: str | None,
    may: tuple[str, ...],
    no_more: bool,
    scope: Scope | None,
    everywhere: bool,
    anew: bool,
    disabled: bool | None,
    output: Output,
) -> None:
    """Change a user, whose sessions end; what is not named stays as it is.

    --may, and --queue with --tenant, take the place of what was given before.
    """
    if may and no_more:
        raise click.UsageError("--may and --no-more contradict each other; give one of them")
    if scope and everywhere:
        raise click.UsageError("--everywhere and --queue or --tenant contradict each other; give one of them")
    more = may if may or no_more else None
    where = Scope() if everywhere else scope
    if not anew and all(each is None for each in (role, more, where, disabled)):
        raise click.UsageError("nothing says what to change; see: jobplatform users change --help")
    password = read_password(f"New password of {name}") if anew else None
    with open_desk() as (desk, actor):
        actions.change_user(desk, actor, name, role, more, password, disabled, where)
    _tell(name, role, f"{name} is changed, and has to sign in again", output)


def read_password(words: str) -> str:
    """Ask for a password twice where somebody sits, or else take the first line of standard input.

    :param words: whose it is.
    """
    if sys.stdin.isatty():
        return str(click.prompt(words, hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _tell(name: str, role: str | None, words: str, output: Output) -> None:
    if output.as_json:
        output.json({"name": name, "role": role} if role else {"name": name})
    else:
        output.line(words)
