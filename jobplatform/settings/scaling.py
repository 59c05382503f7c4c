"""Settings of the scaler."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.settings.setting import one_of, setting


@dataclass(frozen=True)
class Scaling:
    """How many workers there should be, and on what that rests."""

    __slots__ = ()

    scaler: str = setting(
        "JOBPLATFORM_SCALER",
        "off",
        one_of("off", "dry", "rule", "auto"),
        "Who says how many workers there should be: a forecast (auto), the rate of arrivals (rule), a forecast that is "
        "only written down (dry), or nobody (off).",
    )
    scale_seconds: float = setting(
        "JOBPLATFORM_SCALE_SECONDS", 30.0, float, "Seconds from one decision on the number of workers to the next.", 1
    )
    scale_horizon_seconds: float = setting(
        "JOBPLATFORM_SCALE_HORIZON_SECONDS",
        300.0,
        float,
        "Seconds ahead in which a worker must not be needed to be let go.",
        0,
    )
    cooldown_seconds: float = setting(
        "JOBPLATFORM_SCALE_COOLDOWN_SECONDS",
        60.0,
        float,
        "Seconds after workers were asked for in which none is let go.",
        0,
    )
    worker_start_seconds: float = setting(
        "JOBPLATFORM_WORKER_START_SECONDS",
        10.0,
        float,
        "Seconds from when a worker is asked for until it takes jobs.",
        0,
    )
    worker_slots: int = setting(
        "JOBPLATFORM_WORKER_SLOTS",
        0,
        int,
        "Jobs that a worker runs at once, for whoever says how many workers there should be; 0 believes the workers.",
        0,
    )
    wait_slo_seconds: float = setting(
        "JOBPLATFORM_WAIT_SLO_SECONDS", 30.0, float, "Seconds that a job may wait until it begins.", 0
    )
    late_cost: float = setting(
        "JOBPLATFORM_LATE_COST",
        0.7,
        float,
        "What a job costs that waits for longer than it may, in hours of a worker; the more, the larger the reserve.",
        0,
    )
    sample_seconds: float = setting(
        "JOBPLATFORM_SAMPLE_SECONDS", 30.0, float, "Seconds between two samples of workers and queues.", 0.5
    )
    sample_days: float = setting(
        "JOBPLATFORM_SAMPLE_DAYS", 14.0, float, "Days for which samples and verdicts are kept.", 0
    )
