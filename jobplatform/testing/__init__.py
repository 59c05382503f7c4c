"""For those who test an application that uses jobplatform; the pytest plugin ``jobplatform`` gives the fixtures."""

from jobplatform.testing.runner import JobRunner, NotEnded
from jobplatform.testing.submissions import Attempt, Job

__all__ = ["Attempt", "Job", "JobRunner", "NotEnded"]
