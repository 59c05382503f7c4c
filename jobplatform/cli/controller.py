"""``celery -A app controller``: mirror, dispatcher and the other services of the platform."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

import click


@click.command()
@click.option("-l", "--loglevel", default="INFO", show_default=True, help="Level of the log on standard error.")
@click.pass_context
def controller(context: click.Context, loglevel: str) -> None:
    """Run the controller: it mirrors the journal into the tables, publishes due jobs and decides on retries.

    Any number may run; one leads and the others stand by.
    """
    from jobplatform.controller.controller import Controller
    from jobplatform.jobs.platform import platform_of

    logging.basicConfig(level=loglevel.upper(), format="[%(asctime)s: %(levelname)s/%(threadName)s] %(message)s")
    settings = platform_of(context.obj.app).settings
    stop = threading.Event()

    def on_signal(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    Controller(settings, context.obj.app.connection_for_write, stop).run()
