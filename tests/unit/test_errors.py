"""Errors go from process to process with all that they tell."""

from __future__ import annotations

import pickle

import pytest

from jobplatform.errors import (
    BatchNotFound,
    Forbidden,
    IdempotencyConflict,
    JobPlatformError,
    KeyTaken,
    NotSignedIn,
    PayloadProblems,
    QueryRefused,
    RequestRefused,
    SettingsError,
)


@pytest.mark.parametrize(
    "error",
    [
        BatchNotFound("b1"),
        Forbidden("jobs.cancel", "jobs.write", "queue mail"),
        IdempotencyConflict("k", "j1", "a", "b"),
        KeyTaken("k", "j1"),
        NotSignedIn(),
        PayloadProblems("shop.pay", (("/kwargs/amount", "is no number"),)),
        QueryRefused(4, "no such field", "use type:"),
        RequestRefused("too many", status=429),
        SettingsError("JOBPLATFORM_SCHEMA: 'X' is no plain identifier"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_an_error_survives_a_pickle(error: JobPlatformError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
