"""What an error says of its cause: a bug, an outage, an answer, a plea for patience."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.decision import FailedAttempt
from jobplatform.jobs.retry import PASSING_STATUS

#: Class names of errors that pass, and of those that the same input meets again: a bug is no outage.
_PASSING = frozenset({"TimeoutError", "ConnectionError", "OperationalError", "InterfaceError"})
_LASTING = frozenset(
    {"TypeError", "ValueError", "LookupError", "AttributeError", "NameError", "AssertionError", "ArithmeticError"}
    | {"ImportError", "NotImplementedError", "SyntaxError", "MemoryError", "KeyError", "IndexError"}
    | {"TimeLimitExceeded", "SoftTimeLimitExceeded", "WorkerLostError"}
)
#: And of those for which nobody has to listen.
_REFUSED = frozenset({"ConnectionError", "ConnectionRefusedError", "ConnectError", "EndpointConnectionError"})


def is_lasting(error: Mapping[str, Any]) -> bool:
    """Tell whether an error is one of the job itself: a bug, or a process that died of it."""
    return bool(error.get("died")) or not _LASTING.isdisjoint(error.get("classes", ()))


def is_throttled(error: Mapping[str, Any]) -> bool:
    """Tell whether the other side only asks for patience, and says when (RFC 6585 section 4)."""
    return error.get("status") == 429


def may_pass(failed: FailedAttempt) -> bool:
    """Tell whether an error looks like one that passes by itself."""
    if is_lasting(failed.error):
        return False
    known = failed.dependency is not None or isinstance(failed.error.get("status"), int)
    return known or not _PASSING.isdisjoint(failed.error.get("classes", ()))


def is_refused(error: Mapping[str, Any]) -> bool:
    """Tell whether nobody listened on the other side (RFC 9293 section 3.10.7.1), which costs it nothing."""
    classes = error.get("classes", ())
    return not _REFUSED.isdisjoint(classes) and not any("Timeout" in name for name in classes)


def is_answer(error: Mapping[str, Any]) -> bool:
    """Tell whether the other side answered, and refused this request only (RFC 9110 section 15.5)."""
    status = error.get("status")
    return isinstance(status, int) and 400 <= status < 500 and status not in PASSING_STATUS


def describe(error: Mapping[str, Any]) -> str:
    """Name an error and where it came from, in a few words."""
    status, host = error.get("status"), error.get("host")
    kind = f"HTTP {status}" if isinstance(status, int) else str(error.get("type", "error"))
    return f"{kind} from {host}" if host else kind
