"""All breakers of the platform, and when one opens: one cause fails more and more jobs, and little else happens."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from jobplatform.decision import FailedAttempt, Seen
from jobplatform.jobs.breaker import Breaker, BreakerState, Release, open_breaker
from jobplatform.jobs.symptom import describe, is_lasting, is_refused, is_throttled, may_pass
from jobplatform.jobs.traffic import Traffic

#: A breaker opens when, within so many seconds, so many jobs failed of a cause for the first time, and such a share of
#: all first attempts of their types. What failed once fails more often than others, so retries tell nothing.
_RISES = ((10.0, 8, 0.7), (60.0, 5, 0.75))
#: The same for a cause of which nothing says that it passes.
_DOUBTFUL_RISES = ((60.0, 20, 0.9),)
#: An error that points at nothing is news where so many jobs of its types succeeded in the minutes before, and at most
#: such a share failed of it: what never works would be held for ever.
_WELL_BEFORE, _ILL_BEFORE = 20, 0.5
#: Of job types that fail for one reason among others, a breaker opens when so many times more jobs than in the minutes
#: before fail of a cause within so many seconds, at least so many, and hardly any retry after it succeeds.
_SURGE, _SURGE_SECONDS, _SURGE_LEAST, _SURGE_SHARE, _MEMORY_SECONDS = 5.0, 30.0, 10, 0.9, 600.0
#: A job type is held as a whole when so many of its jobs failed of a cause, and such a share of them.
_TYPE_FAILURES, _TYPE_SHARE = 3, 0.8
#: A job that has failed more often fails for reasons of its own, and says nothing of the cause any more.
_WITNESS = 3
#: An open breaker ends when so many jobs of its types succeeded within so many seconds and at most such a share failed.
_PAST_SUCCESSES, _PAST_SECONDS, _PAST_SHARE = 10, 20.0, 0.3
#: Jobs that are told apart of one cause, and causes that are watched.
_JOBS, _CAUSES = 64, 2_000


class Breakers:
    """Watch what fails of which cause, and hold it while that lasts.

    The mirror tells it what happened, and the gatekeeper asks it what to let go; each from a thread of its own.
    """

    def __init__(self, known: Iterable[Breaker] = ()) -> None:
        self._breakers = {breaker.cause: breaker for breaker in known}
        self._changed: set[str] = set()
        self._told_of: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._failing: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self._causes = Traffic(int(_MEMORY_SECONDS))
        self._types = Traffic(int(_MEMORY_SECONDS))
        self._pairs = Traffic()
        self._began: float | None = None
        #: The last failure of each cause that is not judged yet.
        self._rising: dict[str, FailedAttempt] = {}
        self._types_of: dict[str, dict[str, float]] = defaultdict(dict)

    def failed(self, failures: Sequence[FailedAttempt]) -> None:
        """Count failures of which backoff alone would decide."""
        with self._lock:
            counted = [each for each in failures if not (is_lasting(each.error) or is_throttled(each.error))]
            for failed in counted:
                self._count(failed)
                self._rising[failed.cause] = failed
            for cause in {failed.cause for failed in counted}:
                breaker = self._breakers.get(cause)
                if breaker is not None and breaker.holds:
                    self._put(self._told(breaker, [failed for failed in counted if failed.cause == cause]))

    def answered(self, failures: Sequence[FailedAttempt]) -> None:
        """Count failures that show that the other side is there."""
        with self._lock:
            for failed in failures:
                breaker = self._breakers.get(failed.cause)
                if breaker is not None and failed.facts.trial:
                    self._told_of[failed.cause] += 1
                    self._put(breaker.seen(failed.at, 1, 0))

    def observe(self, seen: Seen) -> None:
        """Count what succeeded, and open breakers: not before what succeeded beside the failures is known."""
        with self._lock:
            for job_type, jobs in seen.completed.items():
                self._types.add(f"+{job_type}", seen.at, jobs)
            succeeded: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for outcome in seen.outcomes:
                if outcome.succeeded:
                    self._causes.add(f"+{outcome.cause}", outcome.at)
                    succeeded[outcome.gate or outcome.cause][outcome.job_type] += 1
            for cause, breaker in self._breakers.items():
                # Of job types that are held as a whole, all that runs was let go.
                whole = sum(seen.completed[job_type] for job_type in breaker.job_types)
                told = whole + sum(jobs for name, jobs in succeeded[cause].items() if name not in breaker.job_types)
                if breaker.holds and (told or self._is_past(breaker, seen)):
                    self._put(breaker.seen(seen.at, told, 0) if told else breaker.recovered(seen.at))
            self._pass_over(seen)
            self._open()

    def holding(self, cause: str) -> Breaker | None:
        """Give the breaker that holds what fails of a cause, None when none does."""
        breaker = self._breakers.get(cause)
        return breaker if breaker is not None and breaker.holds else None

    def tick(self, now: float, held: Mapping[str, int]) -> list[Release]:
        """Decide what is let go now.

        :param held: how many jobs are held, by cause.
        """
        releases = []
        with self._lock:
            for cause, breaker in list(self._breakers.items()):
                stepped, release = breaker.step(now, held.get(cause, 0))
                if stepped is not breaker:
                    self._put(stepped)
                if stepped.state is BreakerState.CLOSED and stepped.state is not breaker.state:
                    self._forget(cause)
                if release is not None:
                    releases.append(release)
        return releases

    def held_types(self) -> dict[str, str]:
        """Give the job types of which nothing begins, each with the cause."""
        with self._lock:
            return {name: cause for cause, each in self._breakers.items() if each.holds for name in each.job_types}

    def hear(self, kept: Iterable[Breaker], now: float) -> None:
        """Take over breakers that are not known here, and what people want of any of them.

        :param kept: all that hold something or that somebody forces.
        """
        with self._lock:
            wanted = {breaker.cause: breaker for breaker in kept}
            for breaker in wanted.values():
                if breaker.cause not in self._breakers:
                    self._put(replace(breaker, forced=None, forced_by=None))
            for known in list(self._breakers.values()):
                said = wanted.get(known.cause)
                forced = None if said is None else said.forced
                if forced is not known.forced:
                    begun = now if known.state is BreakerState.CLOSED else known.opened_at
                    by = None if said is None else said.forced_by
                    self._put(replace(known, opened_at=begun).force(forced, by))

    @property
    def has_changed(self) -> bool:
        """Whether a breaker changed since they were asked for last."""
        return bool(self._changed)

    def changed(self) -> list[Breaker]:
        """Give the breakers that changed since they were asked for last."""
        with self._lock:
            changed = [self._breakers[cause] for cause in sorted(self._changed)]
            self._changed.clear()
            for breaker in changed:
                if not breaker.holds and breaker.forced is None:
                    del self._breakers[breaker.cause]
            return changed

    def _pass_over(self, seen: Seen) -> None:
        """Count what was let go and failed of something else, which says nothing of the cause."""
        told, self._told_of = self._told_of, Counter()
        trials = {failed.job_id: failed for failed in seen.failures if failed.facts.trial}
        held_for = Counter(each.gate or each.cause for each in seen.outcomes if each.job_id in trials)
        begun = Counter(failed.facts.job_type for failed in trials.values() if failed.attempt == 1)
        for cause, breaker in self._breakers.items():
            ended = held_for[cause] + sum(begun[job_type] for job_type in breaker.job_types) - told[cause]
            if ended > 0 and breaker.state is BreakerState.RELEASING:
                self._put(breaker.seen(seen.at, 0, 0, ended))

    def _put(self, breaker: Breaker) -> None:
        self._breakers[breaker.cause] = breaker
        self._changed.add(breaker.cause)

    def _forget(self, cause: str) -> None:
        self._failing.pop(cause, None)
        self._causes.forget(cause)
        self._causes.forget(f"+{cause}")

    def _count(self, failed: FailedAttempt) -> None:
        cause, job_type, at = failed.cause, failed.facts.job_type, failed.at
        jobs: OrderedDict[str, float] = self._failing.setdefault(cause, OrderedDict())
        self._failing.move_to_end(cause)
        if len(self._failing) > _CAUSES:
            gone, _ = self._failing.popitem(last=False)
            self._types_of.pop(gone, None)
        if failed.attempt == 1:
            jobs[failed.job_id] = at
            jobs.move_to_end(failed.job_id)
        if len(jobs) > _JOBS:
            jobs.popitem(last=False)
        self._began = at if self._began is None else self._began
        self._causes.add(f"-{cause}" if failed.attempt > 1 else cause, at)
        if failed.attempt == 1:
            self._pairs.add(f"{cause}\0{job_type}", at)
        self._types_of[cause][job_type] = at

    def _told(self, breaker: Breaker, failures: Sequence[FailedAttempt]) -> Breaker:
        now = max(failed.at for failed in failures)
        trials = [failed for failed in failures if failed.facts.trial]
        self._told_of[breaker.cause] += len(trials)
        witnesses = sum(breaker.canary_at is not None or failed.attempt <= _WITNESS for failed in trials)
        told = breaker.seen(now, 0, witnesses, len(trials) - witnesses)
        after = max(float(failed.error.get("after") or 0.0) for failed in failures)
        told = told.hear(len(failures), sum(is_refused(failed.error) for failed in failures))
        gated = frozenset() if told.is_partial else told.job_types | self._gated(breaker.cause, now)
        return replace(told, job_types=gated).delayed(now + after)

    def _open(self) -> None:
        rising, self._rising = self._rising, {}
        for cause, failed in rising.items():
            breaker = self._breakers.get(cause)
            if breaker is not None and (breaker.holds or breaker.forced is not None):
                continue
            reason = self._rise(cause, failed, failed.at)
            if reason is not None:
                after = float(failed.error.get("after") or 0.0)
                opened = replace(open_breaker(cause, failed.at, reason), job_types=self._gated(cause, failed.at))
                self._put(opened.delayed(failed.at + after))

    def _rise(self, cause: str, failed: FailedAttempt, now: float) -> str | None:
        """Say why a breaker is to open, None when it is not."""
        jobs: Mapping[str, float] = self._failing.get(cause, {})
        for seconds, least, share in _RISES if may_pass(failed) else _DOUBTFUL_RISES:
            many = sum(1 for at in jobs.values() if at >= now - seconds)
            if many < least:
                continue
            found = self._share_of_types(cause, now, seconds)
            if found >= share and (failed.dependency is not None or self._is_news(cause, now, seconds)):
                share_of_all = f"{found * 100:.0f} % of their attempts"
                return f"{describe(failed.error)}: {many} jobs within {seconds:.0f} s, {share_of_all}"
        return self._surge(cause, failed, now)

    def _surge(self, cause: str, failed: FailedAttempt, now: float) -> str | None:
        """Say that far more jobs fail of a cause than before, None when that is not so or cannot be known yet."""
        if self._began is None or now - self._began < _MEMORY_SECONDS or not may_pass(failed):
            return None
        many, all_ = (self._causes.count(cause, now, seconds) for seconds in (_SURGE_SECONDS, None))
        usual = (all_ - many) * _SURGE_SECONDS / (_MEMORY_SECONDS - _SURGE_SECONDS)
        again, well = (self._causes.count(f"{sign}{cause}", now, _SURGE_SECONDS) for sign in "-+")
        in_vain = again >= 5 and again >= _SURGE_SHARE * (again + well)
        if many < max(_SURGE_LEAST, _SURGE * usual) or not in_vain:
            return None
        return f"{describe(failed.error)}: {many} jobs within {_SURGE_SECONDS:.0f} s, {usual:.1f} are usual"

    def _share_of_types(self, cause: str, now: float, seconds: float) -> float:
        types = [job_type for job_type, at in self._types_of[cause].items() if at >= now - seconds]
        failed = self._causes.count(cause, now, seconds)
        succeeded = sum(self._types.count(f"+{job_type}", now, seconds) for job_type in types)
        return failed / (failed + succeeded) if failed else 0.0

    def _is_news(self, cause: str, now: float, seconds: float) -> bool:
        """Tell whether the types that fail of a cause went well before the last seconds."""
        ill = self._causes.count(cause, now) - self._causes.count(cause, now, seconds)
        names = [f"+{job_type}" for job_type in self._types_of[cause]]
        well = sum(self._types.count(name, now) - self._types.count(name, now, seconds) for name in names)
        return well >= _WELL_BEFORE and ill <= _ILL_BEFORE * (ill + well)

    def _is_past(self, breaker: Breaker, seen: Seen) -> bool:
        """Tell whether jobs that were not held show that the cause is over."""
        if breaker.state is not BreakerState.OPEN or breaker.job_types:
            return False
        types = [job_type for job_type in self._types_of[breaker.cause] if seen.completed[job_type]]
        succeeded = sum(self._types.count(f"+{job_type}", seen.at, _PAST_SECONDS) for job_type in types)
        failed = self._causes.count(breaker.cause, seen.at, _PAST_SECONDS)
        return succeeded >= _PAST_SUCCESSES and failed <= _PAST_SHARE * (failed + succeeded)

    def _gated(self, cause: str, now: float) -> frozenset[str]:
        """Name the job types that do nearly nothing but fail of a cause."""
        return frozenset(
            job_type
            for job_type, at in self._types_of[cause].items()
            if at >= now - 60.0
            and (failed := self._pairs.count(f"{cause}\0{job_type}", now, 20.0)) >= _TYPE_FAILURES
            and failed >= _TYPE_SHARE * (failed + self._types.count(f"+{job_type}", now, 20.0))
        )
