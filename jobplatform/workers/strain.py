"""What a worker runs out of: memory, files, room on the disk; pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from jobplatform.workers.sample import Sample
from jobplatform.workers.symptom import MIB, Health, Symptom, lasting, present, since
from jobplatform.workers.trend import Trend, trend

#: The spans over which a trend is looked for, in seconds: leaks are fast or slow.
_SPANS = (60.0, 300.0, 1_800.0, 7_200.0)
#: No trend is seen in fewer samples, and none that is as steady by chance more often than that.
_FEWEST = 6
_CHANCE = 0.005
#: A trend is believed for so many times as long as it was seen, and no longer than that: 10 minutes are enough to start
#: another worker and to let this one end its jobs.
_BELIEVED = 2.0
_SOON = 600.0
_LATER = 3_600.0
#: In the last half of its span the memory must go on growing at this share of the slope: what a worker takes when it
#: begins does not.
_GOES_ON = 0.5
#: Below this share of the limit it is tight.
_TIGHT = 0.05
_FULL_DISK, _TIGHT_DISK = (0.01, 256 * MIB), (0.05, 1024 * MIB)
_MOST_FILES = 0.9


def strains(samples: Sequence[Sample]) -> list[Symptom]:
    """Find what a worker runs out of, the worst first."""
    return present((_memory(samples), _tight(samples), _child(samples), _files(samples), _disk(samples)))


def _memory(samples: Sequence[Sample]) -> Symptom | None:
    """See memory that grows to its limit."""
    left = _median(samples, "memory_left")
    if left is None:
        return None
    found = present(_growing(since(samples, samples[-1].at - span), left, span) for span in _SPANS)
    return found[0] if found else None


def _growing(samples: Sequence[Sample], left: float, span: float) -> Symptom | None:
    grows = memory_trend(samples)
    if grows is None:
        return None
    until = max(0.0, left) / grows.slope
    reason = (
        f"its memory grows by {grows.slope * 60 / MIB:.3g} MiB a minute, as {grows.points} samples over "
        f"{lasting(grows.seconds)} show; {left / MIB:.0f} MiB are left, which is about {lasting(until)}"
    )
    if until < min(_SOON, _BELIEVED * grows.seconds):
        return Symptom("memory", Health.FAILING, round(min(0.97, 0.75 + 0.22 * grows.tau), 2), reason)
    if until < min(_LATER, _BELIEVED * grows.seconds):
        return Symptom("memory", Health.DEGRADED, 0.7, reason)
    return None


def memory_trend(samples: Sequence[Sample]) -> Trend | None:
    """Give the trend of a worker's memory, None unless it surely grows and goes on growing."""
    grows = trend([sample.at for sample in samples], [sample.tree_rss for sample in samples])
    if grows is None or grows.points < _FEWEST or grows.slope <= 0 or grows.chance > _CHANCE:
        return None
    half = samples[len(samples) // 2 :]
    lately = trend([sample.at for sample in half], [sample.tree_rss for sample in half])
    return grows if lately is not None and lately.slope >= _GOES_ON * grows.slope else None


def _tight(samples: Sequence[Sample]) -> Symptom | None:
    left, limit = _median(samples, "memory_left"), samples[-1].memory_limit
    if left is None or not limit or left > _TIGHT * limit:
        return None
    reason = f"only {left / MIB:.0f} of {limit / MIB:.0f} MiB of memory are left"
    return Symptom("memory", Health.DEGRADED, 0.7, reason)


def _child(samples: Sequence[Sample]) -> Symptom | None:
    """See a pool process that grows to where Celery ends it after its job: a leak that is contained."""
    last = samples[-1]
    for process in last.processes[1:] if last.child_memory else ():
        series = [(sample.at, each.rss) for sample in samples for each in sample.processes if each.pid == process.pid]
        grows = trend([at for at, _ in series], [rss for _, rss in series])
        if grows is None or grows.points < _FEWEST or grows.slope <= 0 or grows.chance > _CHANCE:
            continue
        until = max(0.0, last.child_memory - grows.level) / grows.slope
        if until < min(_SOON, _BELIEVED * grows.seconds):
            reason = (
                f"process {process.pid} grows by {grows.slope * 60 / MIB:.3g} MiB a minute and reaches the limit of "
                f"{last.child_memory / MIB:.0f} MiB in about {lasting(until)}; Celery ends it then, after its job"
            )
            return Symptom("child memory", Health.DEGRADED, 0.6, reason)
    return None


def _files(samples: Sequence[Sample]) -> Symptom | None:
    files, limit = _median(samples, "open_files"), samples[-1].files_limit
    if files is None or not limit or files < _MOST_FILES * limit:
        return None
    return Symptom("files", Health.FAILING, 0.85, f"it has {files:.0f} files open, and may have {limit}")


def _disk(samples: Sequence[Sample]) -> Symptom | None:
    """See a disk that fills up; another worker there would find the same, so this is for people."""
    share, free = _median(samples, "disk_share"), _median(samples, "disk_free")
    if share is None or free is None:
        return None
    reason = f"the disk that it writes to has {free / MIB:.0f} MiB left, {share:.1%}; make room on it"
    if share < _FULL_DISK[0] and free < _FULL_DISK[1]:
        return Symptom("disk", Health.FAILING, 0.75, reason)
    if share < _TIGHT_DISK[0] and free < _TIGHT_DISK[1]:
        return Symptom("disk", Health.DEGRADED, 0.7, reason)
    return None


def _median(samples: Sequence[Sample], name: str) -> float | None:
    """Give the median of the last three values, None where there are fewer: one is none."""
    values = [value for sample in samples[-3:] if (value := getattr(sample, name)) is not None]
    return float(statistics.median(values)) if len(values) == 3 else None
