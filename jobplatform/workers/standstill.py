"""Workers that do not move: that are silent, whose event loop waits, or who take nothing although jobs wait; pure."""

from __future__ import annotations

from collections.abc import Sequence

from jobplatform.settings import STALE_BEATS
from jobplatform.workers.sample import Sample, Worker
from jobplatform.workers.symptom import Health, Symptom, View, lasting, present, since

#: An event loop that comes so late has come to a standstill, if that lasts.
_STANDSTILL = 15.0
#: One that comes so late now and then is slow.
_SLOW = 1.0
_SLOW_SPAN = 300.0
_SLOW_SHARE = 0.5
_FEWEST_SLOW = 6
#: A worker that takes nothing for so long, while what it could take waits for as long, is frozen.
_FROZEN = 25.0
_FEWEST_FROZEN = 3


def standstills(worker: Worker, samples: Sequence[Sample], now: float, view: View) -> list[Symptom]:
    """Find in what way a worker stands still, the worst first."""
    return present((_silence(samples, now, view), _loop(samples, view), _frozen(worker, samples, now, view)))


def _silence(samples: Sequence[Sample], now: float, view: View) -> Symptom | None:
    """See heartbeats that have stopped: its main process was stopped or killed, or reaches Redis no more."""
    silent = now - max(samples[-1].at, view.heard_since)
    if silent <= STALE_BEATS * view.beat_seconds:
        return None
    reason = f"nothing was heard of it for {lasting(silent)}, {silent / view.beat_seconds:.0f} heartbeats"
    quiet = [name for name, (_, theirs) in view.others.items() if _stale(theirs, now, view)]
    if view.others and len(quiet) == len(view.others):
        return Symptom("silence", Health.FAILING, 0.7, f"{reason}, nor of any other worker: it may be the network")
    return Symptom("silence", Health.FAILING, 0.95, f"{reason}: its main process was killed or stands still")


def _stale(samples: Sequence[Sample], now: float, view: View) -> bool:
    return not samples or now - samples[-1].at > STALE_BEATS * view.beat_seconds


def _loop(samples: Sequence[Sample], view: View) -> Symptom | None:
    """See an event loop that hangs in a callback, of which the thread of the heart still tells, or one that is slow."""
    waits = [sample.loop_wait for sample in samples[-2:]]
    if len(waits) == 2 and None not in waits and waits[0] and waits[1] and waits[1] >= _STANDSTILL:
        # That it is still the same wait, not a second one.
        gap = samples[-1].at - samples[-2].at
        if waits[1] >= waits[0] + gap / 2 and waits[0] >= _SLOW:
            reason = f"its event loop has not moved for {lasting(waits[1])}: a callback in it does not return"
            return Symptom("event loop", Health.FAILING, 0.95, reason)
    recent = [
        sample.loop_wait for sample in since(samples, samples[-1].at - _SLOW_SPAN) if sample.loop_wait is not None
    ]
    slow = [wait for wait in recent if wait > _SLOW]
    if len(recent) < _FEWEST_SLOW or len(slow) < _SLOW_SHARE * len(recent):
        return None
    reason = f"its event loop was late in {len(slow)} of the last {len(recent)} samples, by {max(slow):.1f} s at worst"
    if _others_are_slow(view):
        reason += "; so are those of most other workers, which points at the machine"
    return Symptom("event loop", Health.DEGRADED, 0.7, reason)


def _others_are_slow(view: View) -> bool:
    last = [samples[-1].loop_wait or 0.0 for _, samples in view.others.values() if samples]
    return bool(last) and sum(wait > _SLOW for wait in last) > len(last) / 2


def _frozen(worker: Worker, samples: Sequence[Sample], now: float, view: View) -> Symptom | None:
    """See a worker that has a free process and takes nothing of a queue in which jobs wait."""
    lately = since(samples, samples[-1].at - _FROZEN - view.beat_seconds)
    first, last = lately[0], lately[-1]
    idle = all(sample.active < sample.slots and not sample.waiting for sample in lately)
    if len(lately) < _FEWEST_FROZEN or last.at - first.at < _FROZEN or not idle or last.started > first.started:
        return None
    waiting = {name: view.ready[name] for name in worker.queues if name in view.ready}
    name = max(waiting, key=lambda queue: waiting[queue].oldest, default=None)
    if name is None or not waiting[name].depth or waiting[name].oldest < _FROZEN or worker.duty != "work":
        return None
    reason = (
        f"it has taken no job for {lasting(last.at - first.at)}, with a process free, while {waiting[name].depth} wait "
        f"in {name}, the oldest for {lasting(waiting[name].oldest)}"
    )
    if view.hindrance:
        return Symptom("frozen", Health.DEGRADED, 0.5, f"{reason}; but {view.hindrance}")
    peers = [samples for other, samples in view.others.values() if name in other.queues and other.duty == "work"]
    if not peers:
        return Symptom("frozen", Health.FAILING, 0.85, f"{reason}; no other worker takes of that queue")
    if any(_moves(theirs, first.at) for theirs in peers):
        return Symptom("frozen", Health.FAILING, 0.95, f"{reason}; others take jobs")
    return Symptom("frozen", Health.DEGRADED, 0.6, f"{reason}; others take none either")


def _moves(samples: Sequence[Sample], at: float) -> bool:
    recent = since(samples, at)
    return len(recent) > 1 and recent[-1].started > recent[0].started
