"""Graphs of what waits for what."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.jobs.graph import find_cycle, levels

#: What each node waits for: nodes with lower numbers only.
DAGS = st.integers(1, 30).flatmap(
    lambda size: st.tuples(
        *(st.lists(st.integers(0, max(0, node - 1)), max_size=4 if node else 0) for node in range(size))
    )
)


def test_a_diamond_has_three_levels() -> None:
    after = {"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right", "somewhere else"]}
    assert levels(after) == {"top": 0, "left": 1, "right": 1, "bottom": 2}


def test_a_cycle_is_named_in_the_order_of_its_runs() -> None:
    after = {"free": [], "a": ["c", "free"], "b": ["a"], "c": ["b"], "behind": ["c"]}
    cycle = find_cycle(after)
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "b", "c"}
    for earlier, later in itertools.pairwise(cycle):
        assert earlier in after[later]


def test_a_node_that_waits_for_itself_is_a_cycle() -> None:
    assert find_cycle({"a": ["a"]}) == ["a", "a"]


@given(DAGS)
def test_a_node_is_one_level_above_the_last_that_it_waits_for(befores: tuple[list[int], ...]) -> None:
    after = dict(enumerate(befores))
    found = levels(after)
    assert found == {node: 1 + max((found[before] for before in after[node]), default=-1) for node in after}
    assert find_cycle(after) == []


@given(DAGS, st.data())
def test_one_edge_back_makes_a_cycle_that_is_found(befores: tuple[list[int], ...], data: st.DataObject) -> None:
    after = {node: list(each) for node, each in enumerate(befores)}
    edges = [(node, before) for node, each in after.items() for before in each]
    if not edges:
        return
    node, before = data.draw(st.sampled_from(edges))
    after[before].append(node)
    cycle = find_cycle(after)
    assert cycle[0] == cycle[-1]
    assert len(cycle) > 1
    assert all(earlier in after[later] for earlier, later in itertools.pairwise(cycle))
