"""The pages of the shop: order, and ask what became of it."""

from celery.result import AsyncResult
from flask import Blueprint, request

blueprint = Blueprint("orders", __name__)


@blueprint.post("/orders")
def order() -> tuple[dict[str, str], int]:
    """Take an order and have it packed by a worker."""
    from webshop.tasks import pack

    wanted = request.get_json()
    return {"job": pack.delay(wanted["order"], wanted["items"]).id}, 202


@blueprint.get("/orders/<job>")
def status(job: str) -> dict[str, object]:
    """Tell how far an order is; the answer comes from PostgreSQL when Redis has forgotten it."""
    result = AsyncResult(job)
    return {"ready": result.ready(), "result": result.result if result.successful() else None}
