"""Settings of metrics, logs and traces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobplatform.errors import SettingsError
from jobplatform.settings.setting import one_of, setting

#: A port or a range of them, after a host and a colon or alone.
_BIND = re.compile(r"^(?:[^\s/]*:)?\d{1,5}(?:-\d{1,5})?$")


@dataclass(frozen=True)
class Monitoring:
    """What processes tell of themselves: metrics, logs and traces."""

    __slots__ = ()

    metrics_bind: str = setting(
        "JOBPLATFORM_METRICS_BIND",
        "",
        str,
        "Where the controller and each worker tell Prometheus and probes how they are: a port of this machine alone, "
        "host:port, or host:first-last, of which each process takes the first that is free. Not at all if empty.",
    )
    log_format: str = setting(
        "JOBPLATFORM_LOG_FORMAT",
        "text",
        one_of("text", "json"),
        "How workers, the controller and beat write their logs: as `text`, or as a JSON object a line, with ids.",
    )
    capture_logs: str = setting(
        "JOBPLATFORM_CAPTURE_LOGS",
        "failed",
        one_of("on", "failed", "off"),
        "Of which attempts what their code logs is kept with them: all (`on`), those that failed, or none; the option "
        "`logs` of a job type stands above it.",
    )
    log_limit: int = setting(
        "JOBPLATFORM_LOG_LIMIT", 65_536, int, "So many bytes of the log of an attempt are kept, the last ones.", 0
    )
    traces: str = setting(
        "JOBPLATFORM_TRACES",
        "off",
        one_of("on", "off"),
        "`on` makes OpenTelemetry spans of submissions and attempts; it takes the extra `otel`.",
    )


def check_monitoring(monitoring: Monitoring) -> None:
    """Refuse an address at which nothing can listen.

    :raises SettingsError: naming the variable.
    """
    if monitoring.metrics_bind and not _BIND.match(monitoring.metrics_bind):
        raise SettingsError(
            f"JOBPLATFORM_METRICS_BIND: {monitoring.metrics_bind!r} is no address; "
            "give a port, host:port or host:first-last"
        )
