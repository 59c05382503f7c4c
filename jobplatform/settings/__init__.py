"""Settings: read once from the environment, validated, frozen; a module for each noun."""

from __future__ import annotations

from jobplatform.settings.setting import Network
from jobplatform.settings.settings import Settings, load_settings
from jobplatform.settings.workers import STALE_BEATS

__all__ = ["STALE_BEATS", "Network", "Settings", "load_settings"]
