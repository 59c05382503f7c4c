"""The arithmetic and the verdicts of the benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.report import TARGETS, Findings, Options, as_json, table
from benchmarks.statistics import Summary, count_interval, percentile, ratios, summary, worst


def test_summary_gives_median_and_range() -> None:
    assert summary([3.0, 1.0, 2.0]) == Summary(2.0, 1.0, 3.0)


def test_summary_of_an_even_number_lies_between() -> None:
    assert summary([1.0, 2.0]).median == 1.5


def test_worst_counts_the_largest() -> None:
    assert worst([0.1, 0.9, 0.5]) == Summary(0.9, 0.1, 0.9)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_ratios_divide_round_by_round() -> None:
    assert ratios([10.0, 9.0], [5.0, 3.0]) == [2.0, 3.0]


def test_ratios_refuse_rounds_that_do_not_pair() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("name", "met", "missed"),
    [("drain_prefork_x_celery", 2.5, 2.49), ("rows_complete_s", 1.0, 1.01), ("rss_mb", 255.9, 256.0)],
)
def test_targets_are_met_at_their_bounds_only(name: str, met: float, missed: float) -> None:
    assert TARGETS[name].met(met)
    assert not TARGETS[name].met(missed)


def test_a_figure_without_a_target_is_refused() -> None:
    with pytest.raises(KeyError):
        Findings().key("drain", summary([1.0]))


def test_the_report_shows_what_was_missed_and_what_went_wrong() -> None:
    findings = Findings(problems=["drain: a job ran twice"])
    findings.key("drain_prefork_x_celery", summary([2.1, 2.2, 2.6]))
    findings.extra("drain_celery_per_s", summary([1000.0]))
    text = table(findings)
    assert "2.2 x" in text
    assert "2.1 - 2.6" in text
    assert "MISS" in text
    assert "WRONG: drain: a job ran twice" in text
    assert as_json(findings, Options(rounds=3, jobs=10), 1.0)["drain_prefork_x_celery"] == 2.2


def test_what_was_counted_may_have_been_met_by_luck() -> None:
    # The figures of Garwood's table.
    assert count_interval(0) == (0.0, pytest.approx(3.689, abs=1e-3))
    assert count_interval(5) == (pytest.approx(1.623, abs=1e-3), pytest.approx(11.668, abs=1e-3))
