"""The worker suite, with all of canvas, on an attached application and its own worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet import Fleet
from worker_suite import WorkerSuite

from jobplatform.devstack.stack import DevStack


@pytest.fixture(scope="module")
def fleet(stack: DevStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A controller and a worker for all tests of this module."""
    with Fleet(stack, tmp_path_factory.mktemp("fleet"), ["suite_jobs"]) as made:
        made.start_controller()
        made.start_worker("-c", "2")
        yield made


class TestCanvas(WorkerSuite):
    """The suite on our own processes."""
