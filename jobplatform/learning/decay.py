"""How far a machine or a worker is from its peers, and has drifted from its own past, whatever is measured of it.

Nothing here knows who is looked at or what a measurement is called: only how far things are from what others are or
they were, in units of how much they vary, and clipped, as counters without bound would else decide alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.scores import Floats

Steps = NDArray[np.int64]

#: In steps: what is now, what is smoothed over, what counts as the past, and how far that ends before now.
RECENT, LONG, PAST, LAG = 5, 15, 60, 10
#: Of the past, so many moments at equal distances.
_MOMENTS = 15
#: Steps from which on a past is long enough.
FEWEST = 12
#: With fewer that are measured at a time there are no peers.
FEWEST_PEERS = 3
#: An alarm rests on so many steps.
LASTING = 15
_CLIP = 8.0
_FAR = 3.0
#: The measurements that moved the most stand for what one fault does; faults touch few of them, or many.
_FEW, _MANY = 4, 12
#: Scales are no smaller than this share of the usual size of a measurement.
_LEAST = 0.01
#: How far above others a machine may be, in units of how far they are apart.
_ABOVE = (-3.0, 12.0)
_CHUNK = 512

#: How far from the peers now and for longer, and how far from its own past, alone and beside the peers: lately, and
#: since the first steps.
_WAYS = ("apart", "apart_long", "own", "drift", "rise", "start")
_SUMS = ("mean", "few", "many", "far")
_PLAIN = ("apart", "apart_long")
NAMES = (
    *(f"{way}.{how}" for way in _PLAIN for how in _SUMS),
    *(f"{way}.{how}.above" for way in _WAYS for how in _SUMS),
)
#: Of one that is alone, these are known, compared with nothing.
ALONE = tuple(f"{way}.{how}.alone" for way in ("own", "rise", "start") for how in _SUMS)
ALL = (*NAMES, *ALONE)


@dataclass(frozen=True, slots=True)
class Cube:
    """Measurements of several machines over time, at equal steps.

    :param values: by step, machine and measurement; NaN where nothing was measured.
    """

    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise ValueError(f"values: they have {self.values.ndim} dimensions; give steps, machines and measurements")


def median(values: Floats, axis: int) -> Floats:
    """Give the median along an axis, leaving out what was not measured."""
    ordered = np.sort(values, axis=axis)
    last = np.maximum(np.sum(~np.isnan(values), axis=axis, keepdims=True) - 1, 0)
    low, high = last // 2, (last + 1) // 2
    middle = 0.5 * (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis))
    return np.asarray(np.squeeze(middle, axis=axis), dtype=np.float64)


def differences(values: Floats) -> Floats:
    """Turn measurements that only ever rise, as counters do, into what they rise by."""
    steps = np.diff(values, axis=0, prepend=values[:1])
    known = np.maximum(1, np.sum(~np.isnan(steps), axis=(0, 1)))
    rises = np.sum(steps >= 0, axis=(0, 1)) >= 0.98 * known
    moves = np.sum(steps > 0, axis=(0, 1)) > 0.3 * known
    # A counter that began anew counts from 0.
    risen = np.where(steps < 0, values, steps)
    return np.asarray(np.where((rises & moves)[None, None, :], risen, values), dtype=np.float64)


def features(cube: Cube, last: int | None = None) -> Floats:
    """Tell how far each machine is off at each step, by ``ALL``; NaN where too little is known.

    :param last: only of so many steps at the end.
    """
    values = cube.values
    begin = 0 if last is None else max(0, len(values) - last)
    if not len(values) or not values.shape[1]:
        return np.empty((len(values) - begin, values.shape[1], len(ALL)))
    beside = _beside_peers(values)
    apart = _apart(values, beside)
    # What machines are compared over lies before the steps that are asked for.
    first = max(0, begin - LONG)
    parts = [
        _of_steps(values, beside, apart, np.arange(place, min(place + _CHUNK, len(values))))
        for place in range(first, len(values), _CHUNK)
    ]
    ways = {way: np.concatenate([part[way] for part in parts]) for way in parts[0]}
    columns = [ways[way][..., place] for way in _PLAIN for place in range(len(_SUMS))]
    columns += [_above(ways[way][..., place]) for way in _WAYS for place in range(len(_SUMS))]
    columns += [ways[f"{way}.alone"][..., place] for way in ("own", "rise", "start") for place in range(len(_SUMS))]
    found = np.stack(columns, axis=-1)[begin - first :]
    found[: max(0, FEWEST - begin)] = np.nan
    return found


def _beside_peers(values: Floats) -> Floats:
    """Give what each measurement differs by from that of the peers; NaN where there are none."""
    enough = np.sum(~np.isnan(values), axis=1, keepdims=True) >= FEWEST_PEERS
    return np.where(enough, values - median(values, axis=1)[:, None, :], np.nan)


def _apart(values: Floats, beside: Floats) -> Floats:
    """Give how far each machine is from its peers, in units of how far they are apart."""
    middle = median(values, axis=1)[:, None, :]
    spread = 1.4826 * median(np.abs(beside), axis=1)[:, None, :] + _LEAST * np.abs(middle) + 1e-9
    return np.clip(beside / spread, -_CLIP, _CLIP)


def _of_steps(values: Floats, beside: Floats, apart: Floats, steps: Steps) -> dict[str, Floats]:
    own, drift = _moves(values, steps), _moves(beside, steps)
    sizes = {
        "apart": np.abs(_mean(apart, steps, RECENT)),
        "apart_long": np.abs(_mean(apart, steps, LONG)),
        "own": own.drift,
        "drift": drift.drift,
        "rise": drift.rise,
        "start": drift.start,
    }
    sums = {way: _summed(size) for way, size in sizes.items()}
    lonely = np.isnan(sums["drift"][..., :1])
    for way, size in (("own", own.drift), ("rise", own.rise), ("start", own.start)):
        sums[f"{way}.alone"] = np.where(lonely, _summed(size), np.nan)
    return sums


def _mean(series: Floats, steps: Steps, over: int) -> Floats:
    return np.asarray(series[_places(steps, 0, over, over)].mean(axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Moves:
    """By how much measurements have moved, in units of how much they varied.

    :param drift: from the past.
    :param rise: lately.
    :param start: from the first steps.
    """

    drift: Floats
    rise: Floats
    start: Floats


def _moves(series: Floats, steps: Steps) -> _Moves:
    first = series[np.minimum(np.arange(2 * RECENT)[:, None], np.maximum(0, steps - LAG)[None, :])]
    past = series[_places(steps, LAG, PAST, _MOMENTS)]
    now = median(series[_places(steps, 0, RECENT, RECENT)], axis=0)
    then = median(series[_places(steps, LAG, LAG + RECENT, RECENT)], axis=0)
    usual = median(past, axis=0)
    spread = median(np.abs(past - usual), axis=0)
    # Machines of one kind vary alike; one that has hardly varied yet is given the spread of most.
    common = median(spread, axis=1)[:, None, :]
    scale = 1.4826 * np.fmax(spread, common) + _LEAST * median(np.abs(past), axis=0) + 1e-9
    befores = (usual, then, median(first, axis=0))
    return _Moves(*(np.minimum(np.abs(now - before) / scale, _CLIP) for before in befores))


def _places(steps: Steps, near: int, far: int, moments: int) -> Steps:
    """Choose moments that lie between so many steps before each step; those before the first one are the first one."""
    back = np.linspace(near, far - 1, moments).round().astype(np.int64)
    return np.asarray(np.maximum(0, steps[None, :] - back[:, None]), dtype=np.int64)


def _summed(sizes: Floats) -> Floats:
    """Sum up over measurements: the mean of all and of those that moved the most, and how many moved far."""
    known = ~np.isnan(sizes)
    count = known.sum(axis=-1)
    ordered = np.sort(np.where(known, sizes, 0.0), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (
            ordered.sum(axis=-1) / count,
            ordered[..., -_FEW:].sum(axis=-1) / np.minimum(count, _FEW),
            ordered[..., -_MANY:].sum(axis=-1) / np.minimum(count, _MANY),
            (ordered > _FAR).sum(axis=-1) / count,
        )
    return np.stack([np.where(count > 0, part, np.nan) for part in parts], axis=-1)


def _above(sums: Floats) -> Floats:
    """Tell how far above the others a machine is, in units of how far these are apart: all move with the load."""
    enough = np.sum(~np.isnan(sums), axis=1, keepdims=True) >= FEWEST_PEERS
    over = sums - median(sums, axis=1)[:, None]
    spread = 1.4826 * median(np.abs(over), axis=1)
    spread = np.where(np.isnan(spread), 0.0, spread)
    known = np.cumsum(spread)
    known[LONG:] -= known[:-LONG].copy()
    lately = known / np.minimum(np.arange(len(spread)) + 1, LONG)
    return np.where(enough, np.clip(over / (lately[:, None] + 1e-3), *_ABOVE), np.nan)


def mean_peer_drift(found: Floats) -> Floats:
    """Give the best rule without learning: how far a machine is from its peers, in the mean over all measurements."""
    return np.asarray(found[..., ALL.index("apart_long.mean")], dtype=np.float64)


def lasting(scores: Floats, steps: int = LASTING) -> Floats:
    """Give for each step the mean of the last scores: no alarm rests on one sample; below all where one is missing."""
    padded = np.concatenate([np.full((steps - 1, *scores.shape[1:]), np.nan), scores])
    means = np.lib.stride_tricks.sliding_window_view(padded, steps, axis=0).mean(axis=-1)
    return np.where(np.isnan(means), -np.inf, means)
