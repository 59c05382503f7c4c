"""Graphs of what waits for what: pure functions of edges."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def levels(after: Mapping[Name, Iterable[Name]]) -> dict[Name, int]:
    """Tell in which wave each node can run at the earliest: 0 waits for nothing (Kahn 1962).

    What lies on a cycle, or waits for one, is left out, and names that are no keys are not waited for.

    :param after: what each node waits for.
    """
    open_edges = {name: sum(before in after for before in dict.fromkeys(befores)) for name, befores in after.items()}
    behind: dict[Name, list[Name]] = {name: [] for name in after}
    for name, befores in after.items():
        for before in dict.fromkeys(befores):
            if before in after:
                behind[before].append(name)
    found: dict[Name, int] = {}
    wave = [name for name, count in open_edges.items() if not count]
    number = 0
    while wave:
        found.update(dict.fromkeys(wave, number))
        following = []
        for name in wave:
            for later in behind[name]:
                open_edges[later] -= 1
                if not open_edges[later]:
                    following.append(later)
        wave, number = following, number + 1
    return found


def find_cycle(after: Mapping[Name, Iterable[Name]]) -> list[Name]:
    """Give a cycle, its first node once more at the end, or nothing when there is none."""
    runnable = levels(after)
    stuck = [name for name in after if name not in runnable]
    if not stuck:
        return []
    path, seen = [stuck[0]], {stuck[0]: 0}
    while True:
        following = next(before for before in after[path[-1]] if before in after and before not in runnable)
        if following in seen:
            cycle = path[seen[following] :]
            # Edges point to what is waited for, and people read them the other way.
            return [cycle[0], *reversed(cycle)]
        seen[following] = len(path)
        path.append(following)
