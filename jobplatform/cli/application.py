"""The Celery application of a command, with the job modules that the settings name."""

from __future__ import annotations

import os
from typing import Any

from jobplatform.errors import SettingsError
from jobplatform.settings import Settings


def open_app(settings: Settings) -> Any:
    """Load the application and its modules.

    :raises SettingsError: when one of them cannot be imported here.
    """
    # The Celery application reads the environment when it is imported: the stack that is up must be there.
    os.environ.update(DATABASE_URL=settings.database_url, REDIS_URL=settings.redis_url)
    from jobplatform.celery import app

    try:
        app.loader.import_default_modules()
    except ImportError as error:
        raise SettingsError(f"JOBPLATFORM_IMPORTS: {error}; name modules that can be imported here") from error
    return app
