"""The command line: ``jobplatform`` and, for the groups ``jobs`` and ``workers``, ``celery -A jobplatform``."""

from __future__ import annotations

from importlib import import_module

import click

from jobplatform import __version__

#: Where each command lives and its line in the help, so that ``--help`` loads none of them.
COMMANDS = {
    "up": ("jobplatform.cli.up", "Run the whole platform on this machine."),
    "env": ("jobplatform.cli.env", "Print the variables that point to the stack that is up."),
    "migrate": ("jobplatform.cli.migrate", "Bring the tables up to date."),
    "alerts": ("jobplatform.cli.alerts", "List and mute what people are told of."),
    "backup": ("jobplatform.cli.backup", "Write everything into one file."),
    "restore": ("jobplatform.cli.backup", "Put what a backup holds into an empty database."),
    "prune": ("jobplatform.cli.prune", "Let finished jobs go whose time is over."),
    "doctor": ("jobplatform.cli.doctor", "Check everything that the platform stands on."),
    "overview": ("jobplatform.cli.overview", "Tell how all stands, at a glance."),
    "submit": ("jobplatform.cli.submit", "Submit a job."),
    "jobs": ("jobplatform.cli.jobs", "List, show and steer jobs."),
    "bulk": ("jobplatform.cli.bulk", "Do one verb to all jobs of a filter."),
    "queues": ("jobplatform.cli.pauses", "List, pause and resume queues."),
    "types": ("jobplatform.cli.pauses", "List, pause and resume job types."),
    "limits": ("jobplatform.cli.limits", "Say how much runs at once, and in which order."),
    "breakers": ("jobplatform.cli.breakers", "List, open and close breakers."),
    "batches": ("jobplatform.cli.batches", "List, show, close, cancel and retry batches."),
    "workflows": ("jobplatform.cli.workflows", "List and show workflows: jobs that wait for each other."),
    "durations": ("jobplatform.cli.durations", "How long jobs take, as foretold and as it was."),
    "schedules": ("jobplatform.cli.schedules", "List, preview, check and steer schedules."),
    "clusters": ("jobplatform.cli.clusters", "List, show, assign, resolve and merge errors of one kind."),
    "dlq": ("jobplatform.cli.dlq", "List, show, mend, replay and resolve dead letters."),
    "models": ("jobplatform.cli.models", "List, train, judge and steer what learns."),
    "quarantine": ("jobplatform.cli.quarantine", "List, show and replay what could not be read."),
    "keys": ("jobplatform.cli.keys", "Make keys, and encrypt payloads again with a new one."),
    "workers": ("jobplatform.cli.workers", "List, judge, cordon, drain and replace workers."),
    "fleet": ("jobplatform.cli.fleet", "Say how many workers there are to be, and see who replaces whom."),
    "scale": ("jobplatform.cli.scale", "List and show decisions on the number of workers."),
    "web": ("jobplatform.cli.web", "Serve the dashboard and the HTTP API."),
    "mcp": ("jobplatform.cli.mcp", "Serve agents, and decide on what they ask for."),
    "capacity": ("jobplatform.cli.capacity", "Say what would have been with another number of workers."),
    "decisions": ("jobplatform.cli.decisions", "List what was decided on retries, workers and breakers."),
    "users": ("jobplatform.cli.users", "Say who may come in, and as what."),
    "tokens": ("jobplatform.cli.tokens", "Make, list and revoke tokens of programs."),
    "audit": ("jobplatform.cli.audit", "See who did what, and check that nobody changed that."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jobplatform")
def main() -> None:
    """Run, see and steer jobs.

    DATABASE_URL and REDIS_URL say where; without them, commands use the stack that "jobplatform up" runs.

    Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, 5 backend unreachable.
    """
