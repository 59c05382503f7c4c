"""What a worker is asked to do: work, take no more, or leave; and what it makes of being told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Duty(StrEnum):
    """What a worker is to do; ``drain`` is final."""

    WORK = "work"
    CORDON = "cordon"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Order:
    """A duty, and the seconds that running jobs have to end when it is to drain; None for those of the setting."""

    duty: Duty = Duty.WORK
    grace: float | None = None

    def text(self) -> str:
        """Write the order as Redis keeps it."""
        return str(self.duty) if self.grace is None else f"{self.duty} {self.grace:g}"

    def follow(self, said: str) -> Order:
        """Give the order that stands after this one, once something was said.

        Nothing is said by a Redis that does not know, as it was emptied; then this order stands, and so it does after
        words that are not known here, of a newer controller.
        """
        duty, _, grace = said.partition(" ")
        if self.duty is Duty.DRAIN or duty not in set(Duty):
            return self
        return Order(Duty(duty), float(grace) if grace else None)
