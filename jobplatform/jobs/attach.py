"""One line that turns an existing Celery application into a job platform."""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import replace
from typing import Any

from celery import signals

from jobplatform import masking
from jobplatform.errors import PoolRefused
from jobplatform.jobs import pool
from jobplatform.jobs.amqp import JobAMQP
from jobplatform.jobs.leave_step import LeaveStep
from jobplatform.jobs.log_lines import without_payload, write_json_in_celery
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.replacing import on_replace_of
from jobplatform.journal import entry, leaving, refusals, stopping, surplus
from jobplatform.journal.recording import Recording
from jobplatform.journal.report import Report
from jobplatform.journal.room import Room
from jobplatform.journal.writer import DirectSink, connect
from jobplatform.metrics.tracing import TRACING
from jobplatform.settings import Settings, load_settings
from jobplatform.transport import keys, redis
from jobplatform.transport.channel import Channel
from jobplatform.transport.committer import Committer
from jobplatform.transport.committers import close_committers

logger = logging.getLogger(__name__)

#: A worker that is ready looks after so many seconds whether a controller is alive.
_LOOK_SECONDS = 1.0
#: Where the platform's own jobs are; named only, as it stands above this.
_OWN_JOBS = "jobplatform.actions.bulk_job"
_REQUEST = "jobplatform.journal.recorder:JobRequest"
_BACKEND = "jobplatform.jobs.backend:JobBackend"
_CONTROL = "jobplatform.jobs.control:JobControl"
#: What an application has that brings no remote control of its own.
_STOCK_CONTROL = "celery.app.control:Control"


def attach(app: Any, settings: Settings | None = None) -> Any:
    """Make a Celery application durable: every job gets a row, and no message is lost.

    Call it once, right after the application is configured. What the application has set itself stays set, but for
    what would lose jobs.

    :param settings: where the stores are; read from the environment if not given.
    :returns: the application.
    """
    if getattr(app, "jobplatform", None) is not None:
        return app
    settings = _with_broker(settings or load_settings(os.environ), app.conf.broker_url)
    app.jobplatform = Platform(settings)
    redis.install()
    Channel.describe_unreadable = staticmethod(refusals.describe_unreadable)
    Committer.give_back_surplus = staticmethod(surplus.give_back_surplus)
    Channel.describe_parked = staticmethod(refusals.describe_paused)
    Committer.give_back_held = staticmethod(surplus.give_back_held)
    Committer.give_back_waiting = staticmethod(surplus.give_back_waiting)
    Committer.leave = staticmethod(leaving.ask_to_leave)
    Committer.describe_left = staticmethod(lambda start: entry.left(start, Recording.clock()))
    Committer.stop_jobs = staticmethod(stopping.stop_jobs)
    Committer.end_overdue = staticmethod(stopping.end_overdue)
    app.steps["worker"].add(LeaveStep)
    app.amqp_cls = JobAMQP
    app.__dict__.pop("amqp", None)
    if app.control_cls == _STOCK_CONTROL:
        app.control_cls = _CONTROL
        app.__dict__.pop("control", None)
    app.add_defaults(_defaults(settings))
    _harden(app)
    Recording.clock = staticmethod(app.jobplatform.clock)
    Recording.result_limit = settings.result_limit
    Recording.stop_seconds = settings.stop_seconds
    Recording.release = settings.release[:100]
    Recording.ring = Channel.ring = settings.signing_keys
    Recording.sealing = settings.encryption_keys
    masking.hide(settings.mask_keys, settings.secrets)
    Recording.mask = staticmethod(masking.mask_of_job)
    leaving.Leaving.grace = settings.drain_seconds
    Recording.message_limit = 16 * settings.payload_limit
    Recording.capture_logs, Recording.log_limit = settings.capture_logs, settings.log_limit
    if settings.traces == "on":
        TRACING.switch_on()
        signals.worker_process_shutdown.connect(TRACING.flush, weak=False)
    if settings.log_format == "json":
        write_json_in_celery()
    _connect_signals(app)
    return app


def _defaults(settings: Settings) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "task_acks_late": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "beat_scheduler": "jobplatform.scheduling.beat:JobScheduler",
        "broker_connection_max_retries": None,
        # What Redis refuses, as when it is full, is no reason for a worker to end.
        "broker_channel_error_retry": True,
    }
    if settings.leases:
        # With --autoscale, the processes of a worker follow what its queues hold and not what it has prefetched.
        defaults["worker_autoscaler"] = "jobplatform.workers.autoscaler:Autoscaler"
    if settings.broker:
        defaults["broker_url"] = settings.broker
    if settings.journal_url:
        defaults["result_backend"] = f"{_BACKEND}+{settings.journal_url}"
    return defaults


def _with_broker(settings: Settings, broker_url: Any) -> Settings:
    """Let the broker that the application has configured stand above that of the environment."""
    if not isinstance(broker_url, str) or broker_url in ("", settings.broker):
        return settings
    return replace(settings, broker_url=broker_url)


def _harden(app: Any) -> None:
    """Set what the promises need, over what the application has set."""
    settings: Settings = app.jobplatform.settings
    conf = app.conf
    conf.task_reject_on_worker_lost = False
    if not app.jobplatform.leases:
        return
    options = dict(conf.broker_transport_options or {})
    options.update(
        priority_steps=keys.PRIORITY_STEPS,
        sep=keys.SEPARATOR,
        visibility_timeout=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        commit_seconds=settings.commit_seconds,
        journal_limit=settings.journal_limit,
        idle_poll_seconds=settings.idle_poll_seconds,
        result_fresh_seconds=settings.result_fresh_seconds,
    )
    options.setdefault("socket_connect_timeout", settings.connect_seconds)
    options.setdefault("socket_keepalive", True)
    conf.broker_transport_options = options


def _connect_signals(app: Any) -> None:
    def prepare(instance: Any = None, **_: Any) -> None:
        if instance.app is app:
            prepare_worker(app, instance)

    def refuse(sender: Any = None, **_: Any) -> None:
        if sender.app is app:
            sender.consumer_cls = refusals.refusing(sender.consumer_cls)

    def ready(sender: Any = None, **_: Any) -> None:
        if sender.app is app:
            # The first jobs shall not wait for that.
            sender.timer.call_after(_LOOK_SECONDS, _report_controller, (app,))
            _open_door(app)

    def mask(sender: Any = None, **_: Any) -> None:
        if sender.app is app:
            _mask_logs()

    def bring_own_jobs(sender: Any = None, **_: Any) -> None:
        if sender is app:
            app.loader.import_task_module(_OWN_JOBS)

    signals.import_modules.connect(bring_own_jobs, weak=False)
    signals.worker_init.connect(refuse, weak=False)
    signals.beat_init.connect(mask, weak=False)
    signals.celeryd_after_setup.connect(prepare, weak=False)
    signals.worker_ready.connect(ready, weak=False)


def _open_door(app: Any) -> None:
    if app.jobplatform.settings.metrics_bind:
        # Imported here: who is not asked does without.
        from jobplatform.jobs.worker_door import open_worker_door

        open_worker_door(app)


def prepare_worker(app: Any, worker: Any) -> None:
    """Make a worker of the application record what it does.

    :raises PoolRefused: when its pool cannot give the promises.
    """
    refuse_pool(worker.pool_cls)
    Committer.processes = worker.concurrency or 1
    Committer.multiplier = max(worker.prefetch_multiplier, 1)
    Committer.jobs_block_the_loop = worker.pool_cls.__module__.endswith(".solo")
    slots = 1 if Committer.jobs_block_the_loop else Committer.processes
    room = Room(app.jobplatform.settings.worker_memory)
    # Celery counts in KiB.
    child_memory = 1024 * int(getattr(worker, "max_memory_per_child", None) or 0)
    Committer.describe_worker = Report(str(worker.hostname), app, slots, room, child_memory)
    pool.install()
    _spare_the_collector()
    platform: Platform = app.jobplatform
    platform.in_worker = True
    for task in app.tasks.values():
        if task.Request == "celery.worker.request:Request":
            task.Request = _REQUEST
            task.on_replace = on_replace_of(task)
    if not platform.leases:
        client = connect(platform.settings.journal_url, retries=3)
        Recording.direct = DirectSink(client, platform.settings.result_fresh_seconds)
    signals.worker_shutdown.connect(close_committers)
    signals.worker_process_init.connect(_let_the_main_process_finish)
    _mask_logs()


def _mask_logs() -> None:
    for name in (None, "celery.task", "celery.redirected"):
        masking.mask_logs(logging.getLogger(name))
    logging.getLogger("celery.pool").addFilter(without_payload)


def _spare_the_collector() -> None:
    """Keep what was imported out of every garbage collection, here and in the pool processes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _let_the_main_process_finish(**_: Any) -> None:
    """Keep a pool process that is handed a job from taking the processor off the main process that hands it out."""
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def refuse_pool(pool_cls: Any) -> None:
    """Refuse pools without Celery's event loop, which drives leases and commits.

    :raises PoolRefused: for gevent, eventlet and pools that are not known.
    """
    name = getattr(pool_cls, "__module__", str(pool_cls)).rpartition(".")[2]
    if name not in ("prefork", "solo", "thread"):
        raise PoolRefused(
            f"--pool {name}: it runs without the event loop that renews leases; use prefork, solo or threads"
        )


def _report_controller(app: Any) -> None:
    from jobplatform.transport.publisher import UNREACHABLE

    try:
        alive = app.jobplatform.publisher.client.exists(keys.CONTROLLER)
    except UNREACHABLE as error:
        logger.warning("whether a controller is alive cannot be told: %s", error)
        return
    if not alive:
        logger.warning(
            "no controller is alive: jobs run, but rows stay behind and retries wait; "
            "start one with: celery -A %s controller", app.main or "your.app",
        )  # fmt: skip
