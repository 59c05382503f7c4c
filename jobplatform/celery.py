"""The Celery application behind ``celery -A jobplatform``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery

from jobplatform.jobs.attach import attach
from jobplatform.settings import load_settings


def create_app() -> Any:
    """Make the application: ``celeryconfig`` of the working directory, and the job modules that the settings name."""
    settings = load_settings(os.environ)
    made = Celery("jobplatform")
    if Path("celeryconfig.py").exists():
        sys.path.append(str(Path.cwd()))
        made.config_from_object("celeryconfig")
    made.conf.imports = (*made.conf.imports, *settings.imports)
    attach(made, settings)
    made.set_default()
    return made


app = create_app()
