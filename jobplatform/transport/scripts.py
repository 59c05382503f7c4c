"""The Lua scripts and how they are run."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError


class Script:
    """One script beside this module.

    :param name: the file's name without its ending.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def text(self) -> str:
        """The script as it is sent."""
        return Path(__file__).with_name(f"{self.name}.lua").read_text()

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


ACQUIRE = Script("acquire")
BEAT = Script("beat")
COMMIT = Script("commit")
PUSH = Script("push")
RESCUE = Script("rescue")
