"""An attached application whose messages travel in files; the platform's journal stays in Redis."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.transport import filesystem

from jobplatform import attach

#: The variable that names the directory of the messages.
FOLDER = "FILE_BROKER_FOLDER"


class WholeFiles(filesystem.Channel):  # type: ignore[misc]
    """Kombu's channel, which readers may catch between making a file and writing it: here a file appears whole."""

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}"
        draft = Path(self.data_folder_out, name)
        draft.write_text(json.dumps(payload))
        draft.rename(draft.with_name(f"{name}.{queue}.msg"))


filesystem.Transport.Channel = WholeFiles


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
