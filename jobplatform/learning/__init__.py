"""What was learned of attempts that failed: features from the past, a model of the next attempt, and how good it is."""

from __future__ import annotations

import os

# OpenMP's threads wait for each other in busy loops unless told otherwise as the library is loaded: beside other
# processes on the same cores, training took thirty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
