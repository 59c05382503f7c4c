"""The Lua scripts and how they are run."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError


class Script:
    """One script beside this module.

    :param names: of its files, without their endings: what it needs comes before it, as scripts share no functions.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    @cached_property
    def text(self) -> str:
        """The script as it is sent."""
        return "".join(Path(__file__).with_name(f"{name}.lua").read_text() for name in self.names)

    @cached_property
    def sha(self) -> str:
        """The digest that Redis knows the script by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: Any, keys: list[str], args: list[Any]) -> Any:
        """Run the script; a server that does not know it yet is told."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(keys), *keys, *args)


ACQUIRE = Script("limits", "lanes", "acquire")
BEAT = Script("beat")
COMMIT = Script("limits", "commit")
PUSH = Script("push")
PUT_BACK = Script("limits", "put_back")
RECOUNT = Script("limits", "recount")
RESCUE = Script("limits", "rescue")


def read() -> None:
    """Read all scripts now, as a process that is forked from this one would have to."""
    for script in (ACQUIRE, BEAT, COMMIT, PUSH, PUT_BACK, RECOUNT, RESCUE):
        assert script.sha
