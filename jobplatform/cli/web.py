"""``jobplatform web``: the dashboard and the HTTP API."""

from __future__ import annotations

import logging

import click

from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.masking import mask_logs


@click.command(short_help="Serve the dashboard and the HTTP API.")
@mapped()
def web() -> None:
    """Serve the dashboard and the HTTP API at JOBPLATFORM_WEB_BIND until Ctrl-C."""
    from jobplatform.jobs.log_lines import write_json
    from jobplatform.web.serve import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with open_desk(pool_size=10, statement_seconds=2.0) as (desk, _):
        if desk.settings.log_format == "json":
            write_json(logging.getLogger().handlers)
        mask_logs(logging.getLogger())
        serve(desk)
