"""What limits are: how much may run at once, and how much may begin in a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from jobplatform.errors import LimitError

#: How a limit is called: after a queue, a job type, a key, or all keys that begin alike.
_NAME = re.compile(r"(queue|type|key):[^\s\x00-\x1f]+")
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(\d*)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: What a key may consist of: it travels in messages as it is.
_KEY = re.compile(r"[A-Za-z0-9_.:@/+-]{1,200}")


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on the jobs of a queue, a job type or a key.

    :param name: ``queue:NAME``, ``type:NAME``, ``key:NAME``, or ``key:PREFIX:*`` for each key that begins so.
    :param slots: units that may be held at once.
    :param rate: units that may begin in a second.
    :param burst: units that may begin at once after a pause; those of a second, and at least one, if not given.
    """

    name: str
    slots: int | None = None
    rate: float | None = None
    burst: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LimitError(f"limit {self.name!r}: it is not named after anything; write queue:mail, type:t or key:k")
        if self.slots is None and self.rate is None:
            raise LimitError(f"limit {self.name}: it bounds nothing; give slots or a rate")
        if self.slots is not None and self.slots < 1:
            raise LimitError(f"limit {self.name}: {self.slots} slots let nothing run; pause it instead")
        if self.rate is not None and self.rate <= 0:
            raise LimitError(f"limit {self.name}: a rate of {self.rate:g} lets nothing begin; pause it instead")
        if self.burst is not None and (self.rate is None or self.burst < 1):
            raise LimitError(f"limit {self.name}: a burst of {self.burst:g} needs a rate, and is at least 1")

    def text(self) -> str:
        """Write what the scripts read: slots, rate and burst, ``-`` for none."""
        burst = None if self.rate is None else self.burst or max(self.rate, 1.0)
        return " ".join("-" if value is None else f"{value:.9g}" for value in (self.slots, self.rate, burst))


def parse_rate(text: str) -> float:
    """Read ``100/s``, ``20/m``, ``5/h`` or ``30/10s``.

    :returns: units a second.
    :raises LimitError: when it is no rate.
    """
    found = _RATE.fullmatch(text.replace(" ", ""))
    if found is None or not float(found[1]) or found[2] == "0":
        raise LimitError(f"rate: {text!r} is no rate; write 100/s, 20/m, 5/h or 30/10s")
    return float(found[1]) / (int(found[2] or 1) * _SECONDS[found[3]])


def check_key(key: str) -> str:
    """Give a key back if messages can carry it.

    :raises LimitError: when they cannot.
    """
    if not _KEY.fullmatch(key):
        raise LimitError(f"limit_key: {key!r} has 1 to 200 letters, digits or _.:@/+- and nothing else")
    return key


def names_in(template: str) -> list[str]:
    """Name what a template asks for, without the paths into it."""
    return [re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(template) if name is not None]


def render_key(template: str, values: Mapping[str, object]) -> str:
    """Fill the arguments of a job, and its tenant, into a template such as ``tenant:{tenant}``.

    :raises LimitError: when the template names what there is not, or the key cannot be carried.
    """
    try:
        return check_key(template.format_map(values) if "{" in template else template)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise LimitError(
            f"limit_key: {template!r} cannot be filled in: {error}; it may name arguments and tenant"
        ) from error
