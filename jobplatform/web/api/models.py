"""Models, durations and decisions over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from jobplatform.actions import decisions, durations, models
from jobplatform.actions.decisions import Decision, Kind
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Name, Number, Text
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("models")

Part = Annotated[str, Path(min_length=1, max_length=200)]


class Training(Body):
    """What kind of model is trained; of retries unless another is named."""

    kind: Name | None = None


class Named(Body):
    """A version, or a job type."""

    version: Number | None = None
    job_type: Name | None = None


class Retiring(Named):
    """What is taken out of use, and why."""

    why: Text = ""


class Trial(Body):
    """The job type that is put back on trial."""

    job_type: Name


@router.get("/models")
@does("models.list")
@gives_page(models.list_models)
def list_models(
    request: Request,
    visit: Visiting,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List models, newest first, and how each did on what it did not learn from."""
    found = models.list_models(*visit, kind, limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.get("/models/types")
@does("models.types")
@gives(models.list_types)
def list_types(request: Request, visit: Visiting) -> Response:
    """List who decides on the retries of each job type, and why."""
    return answer(request, models.list_types(*visit))


@router.get("/models/{version}")
@does("models.show")
@gives(models.show_model)
def show_model(request: Request, visit: Visiting, version: Number) -> Response:
    """Show a model, how it did, and how far what comes now is from what it learned from."""
    return answer(request, models.show_model(*visit, version))


@router.get("/models/{version}/evaluation")
@does("models.evaluate")
@gives(models.evaluate)
def evaluate(request: Request, visit: Visiting, version: Number) -> Response:
    """Measure a model against the rule, on the newest outcomes that it did not learn from."""
    return answer(request, models.evaluate(*visit, version))


@router.get("/models/{version}/report")
@does("models.report")
def report(visit: Visiting, version: Number) -> Response:
    """Give a page in HTML on a model of retries: calibration, gain by job type, and feature importance."""
    headers = {"content-disposition": f'attachment; filename="model-{version}.html"'}
    return HTMLResponse(models.report(*visit, version), 200, headers)


@router.post("/models/train", status_code=201)
@does("models.train")
@gives(models.train)
def train(request: Request, visit: Visiting, asked: Training) -> Response:
    """Train a model now."""
    return answer(request, models.train(*visit, asked.kind), 201)


@router.post("/models/promote")
@does("models.promote")
@gives(models.promote, "reason")
def promote(request: Request, visit: Visiting, asked: Named) -> Response:
    """Put a version in force, or let models decide on a job type before they have won there."""
    return answer(request, {"reason": models.promote(*visit, asked.version, asked.job_type)})


@router.post("/models/retire")
@does("models.retire")
@gives(models.retire, "reason")
def retire(request: Request, visit: Visiting, asked: Retiring) -> Response:
    """Take a version out of use, or leave a job type to the rule."""
    return answer(request, {"reason": models.retire(*visit, asked.version, asked.job_type, asked.why)})


@router.post("/models/trial")
@does("models.trial")
@gives(models.put_on_trial, "reason")
def put_on_trial(request: Request, visit: Visiting, asked: Trial) -> Response:
    """Put a job type back on trial: its model decides again once it has won."""
    return answer(request, {"reason": models.put_on_trial(*visit, asked.job_type)})


@router.get("/durations")
@does("durations.list")
@gives(durations.list_durations, "rows", next=str | None)
def list_durations(request: Request, visit: Visiting, limit: Limit = 100, after: After = None) -> Response:
    """List job types by name with how long their jobs take."""
    found = durations.list_durations(*visit, limit, cursor.read_name(after))
    return page(request, found, found[-1]["job_type"] if len(found) == limit else None)


@router.get("/durations/suggestions")
@does("durations.suggest")
@gives(durations.suggest_limits, "rows", next=str | None)
def suggest(request: Request, visit: Visiting, limit: Limit = 100, after: After = None) -> Response:
    """Suggest time limits: seconds that hardly any run that ends well needs."""
    found = durations.suggest_limits(*visit, limit, cursor.read_name(after))
    return page(request, found, found[-1]["job_type"] if len(found) == limit else None)


@router.get("/durations/{job_type}")
@does("durations.show")
@gives(durations.show_durations)
def show_durations(request: Request, visit: Visiting, job_type: Part, limit: Limit = 100) -> Response:
    """Show the estimates of a job type, by key, and how true they were, by day."""
    return answer(request, durations.show_durations(*visit, job_type, limit))


@router.get("/decisions")
@does("decisions.list")
@gives(rows=Sequence[Decision], next=str | None)
def list_decisions(
    request: Request,
    visit: Visiting,
    kind: Annotated[list[Kind] | None, Query(max_length=10)] = None,
    job_type: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List what was decided on retries, the number of workers, replacements and breakers, the newest first."""
    start = cursor.read_name(after) or None
    found = decisions.list_decisions(*visit, limit, start, kind, job_type)
    return page(request, found.decisions, found.next)
