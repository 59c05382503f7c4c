"""The last part of a spare worker's start, in which it waits until it is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

from celery import bootsteps

from jobplatform.journal.leaving import is_asked_to_leave
from jobplatform.transport.committer import Committer

logger = logging.getLogger(__name__)

#: Monitors hear that a worker is there when it has asked for its first jobs.
_TELL_SECONDS = 0.1


class SpareStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Wait with all done but to take jobs; until then nobody hears of this worker.

    A worker that is no spare has no such step.
    """

    requires = ("celery.worker.consumer.tasks:Tasks", "celery.worker.consumer.control:Control")

    #: Waits until this worker is needed, unless its argument says that it was told to end; None in all but spares.
    gate: ClassVar[Callable[[Callable[[], bool]], None] | None] = None

    def include_if(self, consumer: Any) -> bool:
        """Tell whether this worker is a spare."""
        return SpareStep.gate is not None

    def start(self, consumer: Any) -> None:
        """Wait, once; then say who this is, and go on."""
        gate = SpareStep.gate
        if gate is None:
            return
        events = consumer.event_dispatcher
        tells = events.enabled
        events.disable()
        report: Any = Committer.describe_worker
        # What looks at processes is imported by that; a first job shall not wait for it.
        report()
        logger.info("%s is a spare and waits until it is needed", consumer.hostname)
        gate(is_asked_to_leave)
        # Only now: should a connection have broken before, this worker comes here once more, and still is a spare.
        SpareStep.gate, Committer.spare = None, False
        report.begin()
        for channel in consumer.connection.transport.channels[:1]:
            channel.committer.drive(consumer.hub)
        if tells:
            consumer.timer.call_after(_TELL_SECONDS, events.enable)
