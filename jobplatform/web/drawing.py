"""Where the jobs of a workflow stand in a drawing: by levels, each job to the right of all that it waits for; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

Row = Mapping[str, Any]

#: Of a job, and between two: wide, high, across, down.
WIDE, HIGH, ACROSS, DOWN = 190, 46, 56, 16
_MARGIN = 8


class Node(NamedTuple):
    """A job in a drawing."""

    row: Row
    level: int
    x: int
    y: int


class Drawing(NamedTuple):
    """A workflow, drawn.

    :param edges: as SVG paths.
    """

    nodes: Sequence[Node]
    edges: Sequence[str]
    width: int
    height: int


def draw(rows: Sequence[Row]) -> Drawing:
    """Place jobs and the edges between them.

    :param rows: ``job_id`` and the ids ``after`` which each comes; what is not among them is left out.
    """
    known = {row["job_id"]: row for row in rows}
    before = {job_id: [each for each in row["after"] if each in known] for job_id, row in known.items()}
    levels = level_of(before)
    order = _ordered(before, levels)
    tallest = max((len(ids) for ids in order.values()), default=0)
    nodes = {
        job_id: Node(known[job_id], level, _MARGIN + level * (WIDE + ACROSS), _top(place, len(ids), tallest))
        for level, ids in order.items()
        for place, job_id in enumerate(ids)
    }
    edges = [_edge(nodes[each], nodes[job_id]) for job_id, ids in before.items() for each in ids]
    width = 2 * _MARGIN + len(order) * (WIDE + ACROSS) - ACROSS
    return Drawing(list(nodes.values()), edges, max(width, WIDE), 2 * _MARGIN + tallest * (HIGH + DOWN) - DOWN)


def level_of(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Give each job the wave in which it can run at the earliest; all are in the first if they go in a circle."""
    levels: dict[str, int] = {}
    try:
        for job_id in TopologicalSorter(before).static_order():
            levels[job_id] = 1 + max((levels[each] for each in before[job_id]), default=-1)
    except CycleError:
        return dict.fromkeys(before, 0)
    return levels


def _ordered(before: Mapping[str, Sequence[str]], levels: Mapping[str, int]) -> dict[int, list[str]]:
    """Put the jobs of each level in an order with few crossings: by the mean place of what they wait for.

    The barycentre rule of K. Sugiyama, S. Tagawa, M. Toda, IEEE Trans. SMC 11 (1981).
    """
    order: dict[int, list[str]] = defaultdict(list)
    for job_id, level in levels.items():
        order[level].append(job_id)
    place: dict[str, float] = {}
    for level in sorted(order):

        def mean(job_id: str) -> tuple[float, str]:
            found = [place[each] for each in before[job_id] if each in place]
            return (sum(found) / len(found) if found else 0.0, job_id)

        order[level].sort(key=mean)
        place.update({job_id: at / len(order[level]) for at, job_id in enumerate(order[level])})
    return dict(sorted(order.items()))


def _top(place: int, count: int, tallest: int) -> int:
    return _MARGIN + place * (HIGH + DOWN) + (tallest - count) * (HIGH + DOWN) // 2


def _edge(start: Node, end: Node) -> str:
    x1, y1, x2, y2 = start.x + WIDE, start.y + HIGH // 2, end.x, end.y + HIGH // 2
    bend = max(ACROSS // 2, (x2 - x1) // 2)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
