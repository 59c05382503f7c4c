"""All settings in one value, and reading them from the environment."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from jobplatform.errors import SettingsError
from jobplatform.settings.alerts import Alerts
from jobplatform.settings.controller import Controller
from jobplatform.settings.fleet import Fleet, check_fleet
from jobplatform.settings.jobs import Jobs
from jobplatform.settings.monitoring import Monitoring, check_monitoring
from jobplatform.settings.retention import Retention
from jobplatform.settings.scaling import Scaling
from jobplatform.settings.secrecy import Secrecy
from jobplatform.settings.stores import Stores, check_stores
from jobplatform.settings.web import Web, check_web
from jobplatform.settings.workers import Workers, check_workers

#: The parts, in the order in which the page shows them.
PARTS = (Stores, Jobs, Workers, Controller, Fleet, Scaling, Web, Monitoring, Retention, Alerts, Secrecy)
_PASSWORD = re.compile(r"^[\w+]+://[^/?#:@]*:([^/?#]+)@")


@dataclass(frozen=True, slots=True)
class Settings(Stores, Jobs, Workers, Controller, Fleet, Scaling, Web, Monitoring, Retention, Alerts, Secrecy):
    """Everything that an operator can set, one field an environment variable.

    Times are in seconds, sizes in bytes.
    """

    def __post_init__(self) -> None:
        check_stores(self)
        check_workers(self)
        check_fleet(self)
        check_web(self)
        check_monitoring(self)
        for item in fields(self):
            low = item.metadata["low"]
            if low is not None and not getattr(self, item.name) >= low:
                raise SettingsError(
                    f"{item.metadata['env']}: {getattr(self, item.name)!r} is not {low} or more; raise it"
                )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may show: the passwords in the URLs, and the keys."""
        urls = (self.database_url, self.redis_url, self.broker_url, self.alert_smtp)
        written = [found[1] for url in urls if (found := _PASSWORD.search(url))]
        keys = [key for ring in (self.signing_keys, self.encryption_keys) for key in ring.keys.values()]
        alone = (self.alert_secret,) if self.alert_secret else ()
        return (*written, *map(unquote, written), *(b64encode(key).decode() for key in keys), *alone)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings out of an environment.

    :param environ: usually ``os.environ``.
    :raises SettingsError: when a variable cannot be parsed, is out of range, or is an unknown ``JOBPLATFORM_*``.
    """
    known = {item.metadata["env"]: item for item in fields(Settings)}
    unknown = sorted(name for name in environ if name.startswith("JOBPLATFORM_") and name not in known)
    if unknown:
        raise SettingsError(f"{unknown[0]}: no such setting; the settings are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for env, item in known.items():
        text = environ.get(env, "")
        if text == "":
            continue
        try:
            values[item.name] = item.metadata["parse"](text)
        except ValueError as error:
            what = "it" if item.metadata["secret"] else repr(text)
            raise SettingsError(f"{env}: {what} cannot be read: {error}; correct it") from error
    return Settings(**values)
