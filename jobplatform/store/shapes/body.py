"""What a job is given or gives."""

from __future__ import annotations

from typing import Any

#: As JSON; ``{"withheld": "jobs.payload"}`` to who may not see it.
Body = Any
