"""Settings of alerts."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.settings.setting import Network, names, networks, setting


@dataclass(frozen=True)
class Alerts:
    """Who is told when something is wrong, and what counts as that."""

    __slots__ = ()

    alert_webhooks: tuple[str, ...] = setting(
        "JOBPLATFORM_ALERT_WEBHOOKS", (), names, "Where alerts are posted to, https://host/path, separated by commas."
    )
    alert_hosts: tuple[str, ...] = setting(
        "JOBPLATFORM_ALERT_HOSTS", (), names, "The hosts that webhooks may name, exactly as they are written."
    )
    alert_networks: tuple[Network, ...] = setting(
        "JOBPLATFORM_ALERT_NETWORKS",
        (),
        networks,
        "Networks of webhooks that may be reached although they are not public, as 10.1.2.0/24.",
    )
    alert_secret: str = setting(
        "JOBPLATFORM_ALERT_SECRET",
        "",
        str,
        "With which webhooks are signed (HMAC-SHA256); empty for no signature.",
        secret=True,
    )
    alert_smtp: str = setting(
        "JOBPLATFORM_ALERT_SMTP",
        "",
        str,
        "The server that sends mails of alerts, smtp://user:password@host:587 (STARTTLS) or smtps://host:465.",
        secret=True,
    )
    alert_mail: tuple[str, ...] = setting(
        "JOBPLATFORM_ALERT_MAIL", (), names, "Who gets mails of alerts; the first address is the sender as well."
    )
    alert_repeat_seconds: float = setting(
        "JOBPLATFORM_ALERT_REPEAT_SECONDS",
        14_400.0,
        float,
        "Seconds after which an alert that lasts is told again.",
        60,
    )
    alert_letters: int = setting(
        "JOBPLATFORM_ALERT_LETTERS", 20, int, "Dead letters within ten minutes that are an alert; 0 for never.", 0
    )
    alert_wait_seconds: float = setting(
        "JOBPLATFORM_ALERT_WAIT_SECONDS",
        300.0,
        float,
        "Seconds of waiting in a queue that are an alert; 0 for never.",
        0,
    )
    alert_late_seconds: float = setting(
        "JOBPLATFORM_ALERT_LATE_SECONDS",
        300.0,
        float,
        "Seconds by which a schedule may be late before that is an alert; 0 for never.",
        0,
    )
