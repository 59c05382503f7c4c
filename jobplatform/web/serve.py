"""Serving the application until it is told to stop."""

from __future__ import annotations

import ipaddress

import uvicorn

from jobplatform.actions import entry
from jobplatform.actions.desk import Desk
from jobplatform.errors import SettingsError
from jobplatform.web.app import make_app

#: Seconds that requests under way have when the server stops.
_GRACE_SECONDS = 5


def serve(desk: Desk) -> None:
    """Serve pages and API until SIGINT or SIGTERM.

    :raises SettingsError: when others could reach it before somebody administers it.
    """
    host, port = desk.settings.web_address
    if not is_loopback(host) and entry.nobody(desk):
        raise SettingsError(
            f"JOBPLATFORM_WEB_BIND: {host} is not of this machine alone, and nobody administers the platform yet; "
            "add somebody first: jobplatform users add NAME --role admin"
        )
    uvicorn.run(
        make_app(desk),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(desk.settings.web_proxies),
        forwarded_allow_ips=list(desk.settings.web_proxies),
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, and nobody else reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
