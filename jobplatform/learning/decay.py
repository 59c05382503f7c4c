"""How far a machine or a worker has drifted from its own past and from its peers, whatever is measured of it.

Nothing here knows who is looked at or what a measurement is called: only how far things are from what they were, in
units of how much they vary, and clipped, as counters without bound would else decide alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobplatform.learning.scores import Floats

#: In steps: what is now, what counts as the past, and how far that ends before now.
RECENT, PAST, LAG = 5, 60, 10
#: Of the past, so many moments at equal distances.
_MOMENTS = 15
#: Steps from which on a past is long enough.
FEWEST = 12
#: With fewer that are measured at a time there are no peers.
FEWEST_PEERS = 3
_CLIP = 8.0
_FAR = 3.0
#: The measurements that moved the most stand for what one fault does.
_TOP = 4
#: Scales are no smaller than this share of the usual size of a measurement.
_LEAST = 0.01
_CHUNK = 512

_WAYS = ("own", "peers", "rise", "start")
_SUMS = ("mean", "top", "far")
NAMES = (
    *(f"{way}.{how}" for way in _WAYS for how in _SUMS),
    *(f"{way}.beyond" for way in _WAYS),
    "rough.mean",
    "rough.top",
)


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
    count = np.sum(~np.isnan(values), axis=axis, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    high = np.minimum(high, np.maximum(count - 1, 0))
    middle = 0.5 * (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis))
    return np.squeeze(middle, axis=axis)


def differences(values: Floats) -> Floats:
    """Turn measurements that only ever rise, as counters do, into what they rise by."""
    steps = np.diff(values, axis=0, prepend=values[:1])
    known = ~np.isnan(steps)
    rises = np.sum(known & (steps >= 0), axis=(0, 1)) >= 0.98 * np.maximum(1, known.sum(axis=(0, 1)))
    moves = np.sum(known & (steps > 0), axis=(0, 1)) > 0.3 * np.maximum(1, known.sum(axis=(0, 1)))
    # A counter that began anew counts from 0.
    risen = np.where(steps < 0, values, steps)
    return np.where((rises & moves)[None, None, :], risen, values)


def features(cube: Cube, last: int | None = None) -> Floats:
    """Tell how far each machine has drifted at each step, by ``NAMES``; NaN where too little is known.

    :param last: only of so many steps at the end.
    """
    values = cube.values
    beside = _beside_peers(values)
    parts = []
    for begin in range(0 if last is None else max(0, len(values) - last), len(values), _CHUNK):
        parts.append(_of_steps(values, beside, np.arange(begin, min(begin + _CHUNK, len(values)))))
    return np.concatenate(parts) if parts else np.empty((0, values.shape[1], len(NAMES)))


def _beside_peers(values: Floats) -> Floats:
    """Give what each measurement differs by from that of the peers; NaN where there are none."""
    enough = np.sum(~np.isnan(values), axis=1, keepdims=True) >= FEWEST_PEERS
    return np.where(enough, values - median(values, axis=1)[:, None, :], np.nan)


def _of_steps(values: Floats, beside: Floats, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    own = _moves(values, steps)
    peers = _moves(beside, steps)
    ways = {"own": own.drift, "peers": peers.drift, "rise": peers.rise, "start": peers.start}
    alone = np.isnan(peers.drift)
    ways["rise"] = np.where(alone, own.rise, ways["rise"])
    ways["start"] = np.where(alone, own.start, ways["start"])
    sums = {way: _summed(sizes) for way, sizes in ways.items()}
    rough = _summed(own.rough)
    columns = [sums[way][..., place] for way in _WAYS for place in range(len(_SUMS))]
    columns += [_beyond(sums[way][..., 0]) for way in _WAYS]
    columns += [rough[..., 0], rough[..., 1]]
    return np.stack(columns, axis=-1)


@dataclass(frozen=True, slots=True)
class _Moves:
    """By how much measurements have moved, in units of how much they varied.

    :param drift: from the past.
    :param rise: lately.
    :param start: from the first steps.
    :param rough: by how much more they vary than they did, as a logarithm.
    """

    drift: Floats
    rise: Floats
    start: Floats
    rough: Floats


def _moves(series: Floats, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> _Moves:
    recent = series[_places(steps, 0, RECENT, RECENT)]
    before = series[_places(steps, LAG, LAG + RECENT, RECENT)]
    past = series[_places(steps, LAG, PAST, _MOMENTS)]
    first = series[np.minimum(np.arange(RECENT * 2)[:, None], np.maximum(0, steps - LAG)[None, :])]
    now, then, usual, begun = (median(part, axis=0) for part in (recent, before, past, first))
    spread = median(np.abs(past - usual), axis=0)
    # Machines of one kind vary alike; one that has hardly varied yet is given the spread of most.
    common = median(spread, axis=1)[:, None, :]
    size = median(np.abs(past).reshape(len(past), len(steps), -1).reshape(past.shape), axis=0)
    scale = 1.4826 * np.fmax(spread, np.fmax(common, 0.0)) + _LEAST * size + 1e-9
    young = (steps < FEWEST)[:, None, None]
    moved = [
        np.where(young, np.nan, np.minimum(np.abs(part) / scale, _CLIP))
        for part in (now - usual, now - then, now - begun)
    ]
    shaken = median(np.abs(recent - now), axis=0)
    rough = np.log((shaken + 0.3 * scale) / (spread + 0.3 * scale))
    return _Moves(*moved, np.where(young, np.nan, np.clip(rough, 0.0, 3.0)))


def _places(
    steps: np.ndarray[tuple[int], np.dtype[np.int64]], near: int, far: int, moments: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Choose moments that lie between so many steps before each step; those before the first one are the first one."""
    back = np.linspace(near, far - 1, moments).round().astype(np.int64)
    return np.maximum(0, steps[None, :] - back[:, None])


def _summed(sizes: Floats) -> Floats:
    """Sum up over measurements: the mean, the mean of those that moved the most, and how many moved far."""
    known = ~np.isnan(sizes)
    count = known.sum(axis=-1)
    some = np.where(known, sizes, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = some.sum(axis=-1) / count
        top = np.sort(some, axis=-1)[..., -_TOP:].sum(axis=-1) / np.minimum(count, _TOP)
        far = (some > _FAR).sum(axis=-1) / count
    return np.stack([np.where(count > 0, part, np.nan) for part in (mean, top, far)], axis=-1)


def _beyond(sums: Floats) -> Floats:
    """Tell by how much a machine has moved more than most others at the same time: all of them move with the load."""
    enough = np.sum(~np.isnan(sums), axis=1, keepdims=True) >= FEWEST_PEERS
    return np.where(enough, sums - median(sums, axis=1)[:, None], np.nan)


def mean_peer_drift(found: Floats) -> Floats:
    """Give the best rule without learning: by how much a machine has moved away from its peers, over all measurements."""
    return found[..., NAMES.index("peers.mean")]


def lasting(scores: Floats, steps: int = RECENT) -> Floats:
    """Give for each step what the scores of the last steps were at least: no alarm rests on one sample."""
    padded = np.concatenate([np.full((steps - 1, *scores.shape[1:]), np.nan), scores])
    windows = np.lib.stride_tricks.sliding_window_view(padded, steps, axis=0)
    return np.where(np.isnan(windows).any(axis=-1), -np.inf, windows.min(axis=-1))
