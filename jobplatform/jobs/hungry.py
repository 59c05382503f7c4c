"""Which job types take much memory, as a submitting process knows it: a copy of what the controller found."""

from __future__ import annotations

from collections.abc import Callable, Collection

#: The copy is no older than this, in seconds.
_OLDEST = 30.0


class Hungry:
    """Tell whether a job type takes much memory, from a copy that is renewed now and then.

    :param ask: names those that do; None where nobody can tell.
    """

    def __init__(self, ask: Callable[[], Collection[str] | None]) -> None:
        self.ask = ask
        self._at = 0.0
        self._known: Collection[str] = ()

    def holds(self, job_type: str, now: float) -> bool:
        """Tell it of a type.

        :param now: seconds since the epoch.
        """
        if not 0.0 <= now - self._at < _OLDEST:
            found = self.ask()
            # Where nobody can tell, what was known before still is more than nothing.
            self._at, self._known = now, self._known if found is None else found
        return job_type in self._known
