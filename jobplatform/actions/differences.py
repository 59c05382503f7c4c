"""What somebody wrote over a payload that they saw with masks in it: what they mean, and what it changes; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from jobplatform.errors import InvalidPayload
from jobplatform.jobs.editing import Change, changed
from jobplatform.jobs.payload import decode_payload, encode_payload
from jobplatform.journal.storable import segment
from jobplatform.masking import MASK

#: So many differences are told.
MOST = 200
_MISSING = object()


class Difference(NamedTuple):
    """A place that two payloads have apart, with what stands there as it may be seen.

    :param kind: ``added``, ``removed`` or ``changed``.
    :param before: None as well where nothing stood.
    """

    path: str
    kind: str
    before: Any
    after: Any


def meant(written: Any, before: Any, shown: Any, at: Sequence[str | int] = ()) -> Any:
    """Give what somebody wrote with what is stored in place of each mask that they left where they saw it.

    A mask is never written: one that stands elsewhere is refused, and so is one in a list whose items were moved,
    since nobody can tell which of the hidden values is meant there.

    :param before: what is stored.
    :param shown: what they saw of it.
    :raises InvalidPayload: naming the place.
    """
    if isinstance(written, str):
        if MASK not in written:
            return written
        if written != shown:
            raise _unclear(at)
        return before
    if isinstance(written, Mapping):
        stored, seen = _mapping(before), _mapping(shown)
        return {key: meant(each, stored.get(key), seen.get(key), (*at, key)) for key, each in written.items()}
    if isinstance(written, list | tuple):
        was, saw = _list(before), _list(shown)
        _check_order(written, saw, at)
        parts = zip_longest(written, was[: len(written)], saw[: len(written)])
        return [meant(each, stood, showed, (*at, place)) for place, (each, stood, showed) in enumerate(parts)]
    return written


def edited(payload: Any | None, changes: Sequence[Change], before: Any, shown: Any, limit: int) -> dict[str, Any]:
    """Give the payload that somebody means who wrote a whole one, or changes of the one before, over what they saw.

    :param payload: None changes the one before.
    :param limit: the largest payload taken, in bytes.
    :raises InvalidPayload: for a mask out of place, and for what cannot be stored.
    """
    if payload is not None:
        args, kwargs = decode_payload(payload)
        # What is nested too deeply is refused before anything walks through it.
        encode_payload(args, kwargs, limit)
        payload = meant({"args": args, "kwargs": kwargs}, before, shown)
    for each in changes:
        encode_payload([each.value], {}, limit)
        meant(each.value, None, None, each.path)
    return changed(before if payload is None else payload, changes)


def differences(before: Any, after: Any, shown: tuple[Any, Any]) -> list[Difference]:
    """List where two payloads are apart, so many at most.

    :param shown: both as they may be seen; where something is hidden is told, and not what.
    """
    return list(islice(_apart(before, after, *shown, ()), MOST))


def _apart(before: Any, after: Any, saw: Any, sees: Any, at: tuple[str | int, ...]) -> Iterator[Difference]:
    if _same(before, after):
        return
    kinds = {type(each) for each in (before, after, saw, sees)}
    if kinds not in ({dict}, {list}):
        kind = "added" if before is _MISSING else "removed" if after is _MISSING else "changed"
        yield Difference(place_of(at), kind, _told(saw), _told(sees))
        return
    for step in _steps(before, after):
        yield from _apart(_at(before, step), _at(after, step), _at(saw, step), _at(sees, step), (*at, step))


def _steps(before: Any, after: Any) -> Sequence[Any]:
    if isinstance(before, dict):
        return [*before, *(key for key in after if key not in before)]
    return range(max(len(before), len(after)))


def _at(value: Any, step: Any) -> Any:
    known = step in value if isinstance(value, dict) else step < len(value)
    return value[step] if known else _MISSING


def place_of(at: Sequence[str | int]) -> str:
    """Write a place of a payload as people do, such as ``kwargs.user.ids[3]``."""
    return f"{at[0]}{''.join(map(segment, at[1:]))}" if at else "payload"


def _told(value: Any) -> Any:
    return None if value is _MISSING else value


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in JSON, where true is not 1."""
    return type(one) is type(other) and bool(one == other) and repr(one) == repr(other)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _check_order(written: Sequence[Any], saw: Sequence[Any], at: Sequence[str | int]) -> None:
    """Refuse a list in which hidden values have other places than they had."""
    resized = len(written) != len(saw)
    for place, each in enumerate(written):
        if not _masks(each):
            continue
        stays = place < len(saw) and each == saw[place]
        if (resized and saw.count(each) > 1) if stays else (resized or each in saw):
            raise _unclear((*at, place))


def _masks(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_masks, value.values()))
    return any(map(_masks, value)) if isinstance(value, list | tuple) else isinstance(value, str) and MASK in value


def _unclear(at: Sequence[str | int]) -> InvalidPayload:
    fix = "write the value itself, or leave the mask where it was to keep what is stored"
    return InvalidPayload(place_of(at), f"{MASK} stands for a value that is hidden, and not for one of here", fix)
