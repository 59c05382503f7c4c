"""An attached application whose messages travel in files; the platform's journal stays in Redis."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from jobplatform import attach

#: The variable that names the directory of the messages.
FOLDER = "FILE_BROKER_FOLDER"


def broker_options(folder: str) -> dict[str, Any]:
    """Give the transport options of kombu's filesystem transport."""
    return {
        "data_folder_in": f"{folder}/queues",
        "data_folder_out": f"{folder}/queues",
        "control_folder": f"{folder}/control",
        "polling_interval": 0.05,
    }


if FOLDER in os.environ:
    app = Celery("files", include=["suite_jobs", "outcome_jobs"])
    app.conf.broker_transport_options = broker_options(os.environ[FOLDER])
    attach(app)
