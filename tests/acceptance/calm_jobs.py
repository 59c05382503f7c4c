"""Let a pool shrink after a calm of three seconds instead of thirty."""

from __future__ import annotations

from jobplatform.workers import autoscaler

autoscaler.CALM_SECONDS = 3.0
