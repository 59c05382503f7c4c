"""Values that may foretell how long a run takes, and what speaks for each of them: pure functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.duration_past import SHORTEST, Latest, Past, Seconds
from jobplatform.learning.duration_rule import RULED, WITHIN

Rows = NDArray[np.float32]
Bools = NDArray[np.bool_]

#: Groups whose modes are found at once, which bounds the memory that is needed.
_PART = 4_000
#: Values of a group at which most of its runs lie.
_MODES = 3
#: Where runs become slowly longer or shorter, what is foretold lies beside their middle.
_SHIFTS = (1.0, 0.87, 1.15)
#: Candidates that lie so near to each other are one.
_SAME = 0.03
#: Each older run counts by so much less.
_DECAY = 0.75


def right(foretold: NDArray[np.floating[Any]], came: NDArray[np.floating[Any]]) -> Bools:
    """Tell which forecasts are near enough; what is not known is near to nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(foretold - came) <= WITHIN * came)


def modes(seconds: Rows, count: int = 1) -> Rows:
    """Give the values at which most of the runs lie, the foremost first; of equals the newest, NaN where there is none.

    :param seconds: of the latest runs of each group, the newest first.
    """
    return _modes(seconds, count)[0]


def _modes(seconds: Rows, count: int) -> tuple[Rows, Rows]:
    """Give modes, and the middles of the runs around each, of which newer ones count for more."""
    parts = [_some_modes(seconds[start : start + _PART], count) for start in range(0, max(len(seconds), 1), _PART)]
    values, middles = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(middles)


def _some_modes(seconds: Rows, count: int) -> tuple[Rows, Rows]:
    ages = np.arange(seconds.shape[1])
    near = right(seconds[:, :, None], seconds[:, None, :])
    # Of as many runs those count for more of which the newest is newer.
    votes = near @ (1.0 + 0.01 * 0.5**ages)
    weights, logs = (_DECAY**ages).astype(np.float32), np.nan_to_num(np.log(seconds))
    found = np.full((2, len(seconds), count), np.nan, dtype=np.float32)
    rows = np.arange(len(seconds))
    for place in range(count):
        best = np.argmax(votes, axis=1)
        some = votes[rows, best] > 0.0
        around = near[rows, best] * weights
        found[0, some, place] = seconds[rows, best][some]
        found[1, some, place] = np.exp((around * logs).sum(axis=1)[some] / around.sum(axis=1)[some])
        votes = np.where(near[rows, best] | near[rows, :, best], 0.0, votes)
    return found[0], found[1]


def fallback(values: Rows) -> Rows:
    """Give of each row the first value that is known."""
    known = ~np.isnan(values)
    first = np.argmax(known, axis=1)
    return np.asarray(values[np.arange(len(values)), first], dtype=np.float32)


def history_mode(past: Past) -> Rows:
    """Foretell by the rule: the mode of the most special group that has runs."""
    levels = range(past.seconds.shape[1])
    return fallback(np.column_stack([modes(past.seconds[:, level, :RULED])[:, 0] for level in levels]))


def candidates(past: Past) -> Rows:
    """Give the values that are to be chosen from; the rule's comes first, and a value that was given before is NaN."""
    levels = [past.seconds[:, level] for level in range(past.seconds.shape[1])]
    found = [_modes(level, _MODES) for level in levels]
    rule = history_mode(past)
    usual = fallback(np.column_stack([middles[:, 0] for _, middles in found]))
    table = [rule, *(usual * shift for shift in _SHIFTS)]
    table += [*(middles for _, middles in found), *(values for values, _ in found)]
    table += [*(level[:, :2] for level in levels), *map(_middle, levels)]
    return _distinct(np.column_stack(table).astype(np.float32))


def _middle(seconds: Rows) -> Rows:
    """Give the geometric mean of what lies around the median, where runs differ without any mode."""
    ordered = np.sort(np.log(seconds), axis=1)
    count = (~np.isnan(seconds)).sum(axis=1)
    rows = np.arange(len(seconds))
    low, high = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    high = np.minimum(high, np.maximum(count - 1, 0))
    return np.asarray(np.exp((ordered[rows, low] + ordered[rows, high]) / 2.0), dtype=np.float32)


def _distinct(table: Rows) -> Rows:
    found = table.copy()
    for place in range(1, table.shape[1]):
        earlier = found[:, :place]
        with np.errstate(invalid="ignore"):
            same = (np.abs(earlier - table[:, place : place + 1]) <= _SAME * table[:, place : place + 1]).any(axis=1)
        found[same, place] = np.nan
    return found


def features(past: Past, values: Rows, rows: NDArray[np.int64]) -> Rows:
    """Tell what speaks for values: of each level how many runs lie near, which, how its runs are spread, and what runs.

    :param values: the candidates, one each.
    :param rows: the job in the past that each is for.
    """
    logs = np.log(values)
    columns = [logs]
    spread = [_spread(past.seconds[:, level]) for level in range(past.seconds.shape[1])]
    for level, known in enumerate(spread):
        seconds = past.seconds[rows, level]
        columns += _near(values, seconds)
        columns += [logs - known[rows, 1], known[rows, 0], known[rows, 2]]
        columns += _going(values, past.latest, level, rows) if past.latest else []
    if past.traits.shape[1]:
        columns.append(logs - np.log(np.maximum(past.traits[rows, 0], SHORTEST)))
    columns += [np.asarray(past.traits[rows, each]) for each in range(past.traits.shape[1])]
    return np.column_stack(columns).astype(np.float32)


def _near(values: Rows, seconds: Seconds) -> list[Rows]:
    """Give the share of runs near a value, the same with newer runs counting for more, the age of the newest of them.

    And the share of those that followed a run like the last one.
    """
    near = right(values[:, None], seconds)
    weights = (_DECAY ** np.arange(seconds.shape[1])).astype(np.float32)
    known = ~np.isnan(seconds)
    count = known.sum(axis=1)
    share = near.sum(axis=1) / np.maximum(count, 1)
    lately = (near @ weights) / np.maximum(known @ weights, 1e-6)
    newest = np.where(near.any(axis=1), np.argmax(near, axis=1), seconds.shape[1])
    like = right(seconds[:, :1], seconds[:, 1:])
    after = (like & near[:, :-1]).sum(axis=1) / np.maximum(like.sum(axis=1), 1)
    empty, alone = count == 0, ~like.any(axis=1)
    columns = [np.where(empty, np.nan, column) for column in (share, lately, newest)]
    return [column.astype(np.float32) for column in (*columns, np.where(alone, np.nan, after))]


def _going(values: Rows, latest: Latest, level: int, rows: NDArray[np.int64]) -> list[Rows]:
    """Tell what those say of a value that were submitted last: which of them ended near it, and how long others run.

    Of many that run already longer than it, hardly one will take it.
    """
    seconds, elapsed = latest.ended[rows, level], latest.elapsed[:, level]
    near, known = right(values[:, None], seconds), ~np.isnan(seconds)
    weights = (_DECAY ** np.arange(seconds.shape[1])).astype(np.float32)
    weight = known @ weights
    lately = np.where(weight > 0.0, near @ weights / np.maximum(weight, 1e-6), np.nan)
    newest = np.where(near.any(axis=1), np.argmax(near, axis=1), seconds.shape[1])
    run, wait = (elapsed > 0.0).sum(axis=1), (elapsed == 0.0).sum(axis=1)
    longest = np.nanmax(elapsed, axis=1, initial=0.0)
    middle = np.log(np.where(elapsed > 0.0, elapsed, 1.0)).sum(axis=1) / np.maximum(run, 1)
    beyond = (elapsed[rows] > (1.0 + WITHIN) * values[:, None]).sum(axis=1) / np.maximum(run, 1)[rows]
    behind = np.where(run > 0, np.log(np.maximum(longest, SHORTEST)), np.nan)
    middle = np.where(run > 0, middle, np.nan)
    logs = np.log(values)
    columns = [lately, newest, weight, run[rows], wait[rows], logs - behind[rows], logs - middle[rows], beyond]
    return [column.astype(np.float32) for column in columns]


def _spread(seconds: Seconds) -> Rows:
    """Give the count of the runs of each group, the mean of their logarithms, and the deviation of those."""
    logs = np.log(seconds)
    known = ~np.isnan(logs)
    count = known.sum(axis=1)
    mean = np.where(known, logs, 0.0).sum(axis=1) / np.maximum(count, 1)
    square = np.where(known, (logs - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(count, 1)
    table = np.column_stack([count, np.where(count > 0, mean, np.nan), np.where(count > 1, np.sqrt(square), np.nan)])
    return table.astype(np.float32)
