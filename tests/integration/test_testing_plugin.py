"""A user's own tests, run through the plugin: in this process, and on a platform of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)

_APPLICATION = """
from celery import Celery

import jobplatform
from jobplatform import job, current_job

app = Celery("shop")
jobplatform.attach(app)


@job
def mail(to: str) -> None:
    pass


@job(schedule="0 6 * * *")
def summary() -> None:
    mail.submit("boss")


@job
def order(number: int) -> int:
    with current_job().effect("mail") as first:
        if first:
            mail.submit(f"customer {number}")
    return current_job().attempt
"""

_TESTS = """
from datetime import timedelta

from shop import mail, order, summary


def test_order(job_runner):
    job_runner.crash(order, at="after effect")
    assert order.submit(1).get() == 2
    job_runner.assert_submitted(mail, to="customer 1", count=1)


def test_every_day(job_runner):
    job_runner.advance(timedelta(days=3))
    job_runner.assert_submitted(mail, to="boss", count=3)


def test_wrong(job_runner):
    mail.submit("you")
    job_runner.assert_submitted(mail, to="me")


def test_that_a_fault_has_to_come(job_runner):
    job_runner.crash(order)


def test_real(job_stack):
    result = order.submit(2)
    assert job_stack.wait(result)["status"] == "COMPLETED"
    assert result.get(timeout=10) == 1
"""


def test_a_users_tests_run_through_the_plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    pytester.makepyfile(shop=_APPLICATION, test_shop=_TESTS)
    pytester.makeini("[pytest]\njobplatform_app = shop:app\n")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "no:celery", "-p", "no:xdist")
    result.assert_outcomes(passed=4, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*faults were planned and never came: crash at 'during', 1 times; no such job ran",
            "*AssertionError: shop.mail(to='me') was to be submitted at least once, and was 0 times",
            "*the nearest is shop.mail(to='you') on 'celery', PENDING",
            "*  to: wanted 'me', it is 'you'",
        ]
    )
