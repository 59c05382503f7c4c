"""A formation file, as the runners of a Procfile read it: ``worker=3``."""

from __future__ import annotations

import os
from pathlib import Path

from jobplatform.workers.published_fleet import PublishedFleet
from jobplatform.workers.roll import Roll


class ProcfileFleet(PublishedFleet):
    """Write how many processes of the pool there are to be into a file, beside those of other names.

    :param path: of the file, with one line ``name=number`` for each process type.
    """

    def __init__(self, pool: str, roll: Roll, path: Path) -> None:
        super().__init__(pool, roll)
        self.path = path

    def publish(self, wanted: int) -> None:
        """Write the file, in one step, if it says something else."""
        before = self.path.read_text() if self.path.exists() else ""
        after = with_number(before, self.pool, wanted)
        if after != before:
            fresh = self.path.with_name(f"{self.path.name}.new")
            with fresh.open("w") as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)


def with_number(text: str, name: str, number: int) -> str:
    """Set the number of a process type in the text of a formation, and leave the others as they are."""
    lines = text.splitlines()
    mine = [place for place, line in enumerate(lines) if line.partition("=")[0].strip() == name]
    if not mine:
        lines.append("")
        mine = [len(lines) - 1]
    lines[mine[0]] = f"{name}={number}"
    kept = [line for place, line in enumerate(lines) if place not in mine[1:]]
    return "\n".join(kept) + "\n"
