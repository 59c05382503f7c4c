"""Settings of the dashboard and the HTTP API."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.errors import SettingsError
from jobplatform.settings.setting import names, setting

_LAST_PORT = 65_535


@dataclass(frozen=True)
class Web:
    """Where the dashboard and the HTTP API are, and how much may be submitted there."""

    __slots__ = ()

    web_bind: str = setting(
        "JOBPLATFORM_WEB_BIND",
        "127.0.0.1:8700",
        str,
        "Where `jobplatform web` listens. Beyond this machine only once somebody administers the platform.",
    )
    web_hosts: tuple[str, ...] = setting(
        "JOBPLATFORM_WEB_HOSTS",
        (),
        names,
        "Host names under which the dashboard is reached; one for another name is refused.",
    )
    web_proxies: tuple[str, ...] = setting(
        "JOBPLATFORM_WEB_PROXIES",
        (),
        names,
        "Addresses of proxies that are believed when they say where a request came from, and by which scheme.",
    )
    submit_rate: float = setting(
        "JOBPLATFORM_SUBMIT_RATE",
        500.0,
        float,
        "Jobs a second that one user or token may submit over HTTP in the long run; 0 for any.",
        0,
    )
    submit_burst: float = setting(
        "JOBPLATFORM_SUBMIT_BURST", 5000.0, float, "Jobs that one of them may submit at once after a pause.", 1
    )

    @property
    def web_address(self) -> tuple[str, int]:
        """Where the dashboard listens: host and port.

        :raises SettingsError: when it is no host and port.
        """
        host, _, port = self.web_bind.rpartition(":")
        if not host or not port.isdecimal() or int(port) > _LAST_PORT:
            raise SettingsError(f"JOBPLATFORM_WEB_BIND: {self.web_bind!r} is no host:port; give one, as 127.0.0.1:8700")
        return host.strip("[]"), int(port)


def check_web(web: Web) -> None:
    """Refuse an address at which nothing can listen.

    :raises SettingsError: naming the variable.
    """
    web.web_address  # noqa: B018
