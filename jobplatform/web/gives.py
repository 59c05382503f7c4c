"""What a route answers, told by the action that gives it: the document of the API is made of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, get_type_hints

from jobplatform.web.shape import Schema, Shapes, given_by

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])

_GIFT = "jobplatform_gives"


class Gift(NamedTuple):
    """An answer, by what its values are.

    :param whole: what is answered as it is; None for a document of some fields.
    :param fields: their types by name.
    """

    whole: Any
    fields: Mapping[str, Any]

    def schema(self, shapes: Shapes) -> Schema:
        """Give the schema of the answer."""
        if self.whole is not None:
            return shapes.of(self.whole)
        made = {name: shapes.of(kind) for name, kind in self.fields.items()}
        return {"type": "object", "required": [*made], "properties": made}


def gives(
    action: Callable[..., Any] | None = None, under: str | None = None, **more: Any
) -> Callable[[Endpoint], Endpoint]:
    """Say what a route answers.

    :param action: whose value it is.
    :param under: the field in which that is; the whole answer if None.
    :param more: the types of further fields.
    """
    kind = None if action is None else given_by(action)
    if under is None and action is not None:
        gift = Gift(kind, {})
    else:
        gift = Gift(None, {**({under: kind} if under else {}), **more})
    return _marking(gift)


def gives_page(action: Callable[..., Any], **more: Any) -> Callable[[Endpoint], Endpoint]:
    """Say that a route answers a page of a list, as an action gives it.

    :param action: what it gives has ``rows``.
    """
    rows = get_type_hints(given_by(action), include_extras=True)["rows"]
    return _marking(Gift(None, {"rows": rows, "next": str | None, **more}))


def gives_fields(action: Callable[..., Any], **more: Any) -> Callable[[Endpoint], Endpoint]:
    """Say that a route answers the fields of what an action gives, and some beside them.

    :param more: the types of these.
    """
    return _marking(Gift(None, {**get_type_hints(given_by(action), include_extras=True), **more}))


def gift_of(endpoint: Callable[..., object] | None) -> Gift | None:
    """Give what a route answers, None where it does not say."""
    return getattr(endpoint, _GIFT, None)


def _marking(gift: Gift) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _GIFT, gift)
        return endpoint

    return mark
