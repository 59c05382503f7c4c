"""The command line of a test: its schema, and the rows in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from jobplatform.cli import main
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import dead_letters, executions, jobs, listing, new_jobs, retry_decisions
from jobplatform.store.database import Database

#: Where no server listens.
NOWHERE = "postgresql://postgres@127.0.0.1:1/none"


@dataclass
class CliEnvironment:
    """A migrated schema of one's own, and the command line pointed at it."""

    env: dict[str, str]
    database: Database

    def run(self, *arguments: str, **env: str) -> Result:
        return CliRunner().invoke(main, arguments, env={**self.env, **env}, catch_exceptions=False)

    def spawn(self, directory: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a process of its own, with the modules of a directory."""
        return subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            env={**os.environ, **self.env, "PYTHONPATH": str(directory)},
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def add(self, status: str = "PENDING", **values: Any) -> str:
        job_id = values.pop("job_id", None) or new_job_id()
        row = NewJob(
            job_id,
            **{"job_type": "shop.charge", "payload": '{"args":[],"kwargs":{}}', "queue": "celery", **values},
        )
        with self.database.transaction() as transaction:
            new_jobs.insert(transaction, [row_of(replace(row, status=status))])
        return job_id

    def fail(self, error_type: str = "ValueError", message: str = "no", **values: Any) -> str:
        """Write a job that failed, with all that the platform writes beside it."""
        job_id = self.add(**values)
        news = {
            "job_id": job_id,
            "attempt": 1,
            "error_type": error_type,
            "error_message": message,
            "fingerprint": "f",
        }
        news |= {"started_at": time.time() - 1, "completed_at": time.time(), "status": "FAILED", "rank": 3}
        with self.database.transaction() as transaction:
            executions.record(transaction, [{**news, "traceback": f"Traceback:\n  {message}", "worker_id": "w1"}])
            jobs.apply_transitions(transaction, [news])
            retry_decisions.record(
                transaction, [{**news, "delay": None, "reason": "permanent", "decided_by": "static"}]
            )
            dead_letters.bury(transaction, [{**news, "reason": "permanent"}])
        return job_id

    def status(self, job_id: str) -> str:
        with self.database.session() as session:
            row = listing.show_job(session, job_id)
        assert row is not None
        return str(row["status"])
