"""``celery -A app controller``: mirror, dispatcher and the other services of the platform."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from jobplatform import masking
from jobplatform.controller.controller import Controller
from jobplatform.jobs.log_lines import write_json
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.published import published


def run(app: Any, loglevel: str) -> None:
    """Run the controller of an attached application until a signal stops it.

    :param loglevel: of the log on standard error.
    """
    logging.basicConfig(level=loglevel.upper(), format="[%(asctime)s: %(levelname)s/%(threadName)s] %(message)s")
    if platform_of(app).settings.log_format == "json":
        write_json(logging.getLogger().handlers)
    masking.mask_logs(logging.getLogger())
    stop = threading.Event()

    def on_signal(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    app.loader.import_default_modules()
    types = (getattr(task, "job", None) for task in app.tasks.values())
    declared = [declared.limit for declared in types if declared is not None and declared.limit is not None]
    Controller(platform_of(app).settings, app.connection_for_write, stop, declared, published(app)).run()
