"""Settings of jobs."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.settings.setting import names, one_of, setting


@dataclass(frozen=True)
class Jobs:
    """What jobs may be, how long things of theirs count, and who decides on them."""

    __slots__ = ()

    imports: tuple[str, ...] = setting(
        "JOBPLATFORM_IMPORTS", (), names, "Modules with jobs that `celery -A jobplatform` loads, separated by commas."
    )
    queues: tuple[str, ...] = setting(
        "JOBPLATFORM_QUEUES",
        ("celery",),
        names,
        "Queues that may be submitted to, besides those of task_queues and of the job types.",
    )
    payload_limit: int = setting("JOBPLATFORM_PAYLOAD_LIMIT", 1_048_576, int, "The largest payload, in bytes.", 2)
    result_limit: int = setting("JOBPLATFORM_RESULT_LIMIT", 1_048_576, int, "The largest result, in bytes.", 2)
    result_fresh_seconds: int = setting(
        "JOBPLATFORM_RESULT_FRESH_SECONDS", 30, int, "Seconds for which a result is kept in Redis.", 1
    )
    upstream_seconds: float = setting(
        "JOBPLATFORM_UPSTREAM_SECONDS",
        3600.0,
        float,
        "Seconds for which a job waits for one that no row stands for, as it may still come through the journal; then "
        "that counts as failed.",
        1,
    )
    idempotency_seconds: float = setting(
        "JOBPLATFORM_IDEMPOTENCY_SECONDS",
        86_400.0,
        float,
        "Seconds for which an idempotency key counts, unless its submission says.",
        1,
    )
    breakers: str = setting(
        "JOBPLATFORM_BREAKERS",
        "on",
        one_of("on", "off"),
        "`on` holds jobs whose errors rise across others, until a single one of them succeeds.",
    )
    retry_model: str = setting(
        "JOBPLATFORM_RETRY_MODEL",
        "auto",
        one_of("auto", "shadow", "off"),
        "Who decides on retries: `auto` is a model where it has won against the rule, `shadow` lets models only say "
        "what they would do, `off` trains none.",
    )
    retry_explore: float = setting(
        "JOBPLATFORM_RETRY_EXPLORE",
        0.03,
        float,
        "The share of retries that wait for a random time, from which models learn what other delays would do.",
        0,
    )
    train_every: int = setting(
        "JOBPLATFORM_TRAIN_EVERY", 50, int, "New outcomes of retries after which a model is trained.", 1
    )
    train_seconds: float = setting(
        "JOBPLATFORM_TRAIN_SECONDS", 300.0, float, "Seconds between the beginnings of two trainings, at least.", 0
    )
    dead_letter_days: float = setting(
        "JOBPLATFORM_DEAD_LETTER_DAYS",
        30.0,
        float,
        "Days for which a dead letter is kept after it was resolved; one that was not is kept for ever.",
        0,
    )
    duration_model: str = setting(
        "JOBPLATFORM_DURATION_MODEL",
        "auto",
        one_of("auto", "shadow", "off"),
        "Who foretells how long jobs take: `auto` is a model where it is better than the rule, `shadow` trains models "
        "that foretell nothing, `off` trains none; then the rule foretells.",
    )
