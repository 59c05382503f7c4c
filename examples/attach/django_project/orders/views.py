"""Order, and ask what became of it."""

import json
from uuid import UUID

from celery.result import AsyncResult
from django.http import HttpRequest, JsonResponse

from orders.tasks import ship


def order(request: HttpRequest) -> JsonResponse:
    """Take an order and have it shipped by a worker."""
    wanted = json.loads(request.body)
    return JsonResponse({"job": ship.delay(wanted["order"], wanted["weight"]).id}, status=202)


def status(request: HttpRequest, job: UUID) -> JsonResponse:
    """Tell how far an order is; the answer comes from PostgreSQL when Redis has forgotten it."""
    result = AsyncResult(str(job))
    return JsonResponse({"ready": result.ready(), "result": result.result if result.successful() else None})
