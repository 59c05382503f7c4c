"""``python -m examples.demo``: real input, run durably, checked against the rows."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from examples.demo import run, summary
from examples.demo.progress import make_display
from jobplatform.errors import JobPlatformError

_INTERRUPTED = 130
_ABOUT = """\
Read the Python standard library of this machine, a job a file, through a PostgreSQL, a Redis, a Celery worker and a
controller that the demo starts for itself and stops again. DATABASE_URL, REDIS_URL and JOBPLATFORM_* are not used, so
that nothing of yours is touched. Exit code 0 means: nothing lost, and every job ended as it had to."""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    options = _options(arguments)
    try:
        result = run.run(options, make_display(sys.stdout))
    except (run.DemoStoppedError, KeyboardInterrupt):
        print("interrupted; everything is stopped", file=sys.stderr)
        return _INTERRUPTED
    except (run.DemoError, JobPlatformError) as error:
        print(f"{error}\nthe logs: {options.directory / 'processes.log'}", file=sys.stderr)
        return 1
    (options.directory / "summary.json").write_text(json.dumps(result.as_dict(), indent=2) + "\n", encoding="utf-8")
    print("\n".join(["", *summary.lines(result)]))
    return 0 if result.good else 1


def _options(arguments: list[str] | None) -> run.Options:
    parser = argparse.ArgumentParser("python -m examples.demo", description=_ABOUT)
    parser.add_argument("--dir", type=Path, default=Path("build/demo"), help="where its files go (%(default)s)")
    parser.add_argument("--limit", type=_count, help="read only so many files, and the broken ones")
    parser.add_argument("--concurrency", type=_count, default=2, help="jobs at a time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=170.0, help="the longest that it may take (%(default)s)")
    given = parser.parse_args(arguments)
    return run.Options(given.dir.absolute(), given.limit, given.concurrency, given.seconds)


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("give a number from 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
