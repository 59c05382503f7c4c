"""Settings: read once, refused early, documented."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import make_url

from jobplatform.errors import SettingsError
from jobplatform.jobs.attach import attach
from jobplatform.settings import Settings, load_settings
from jobplatform.settings.page import page


def test_values_are_read_and_defaults_kept() -> None:
    settings = load_settings({"JOBPLATFORM_IMPORTS": "a, b.c ,", "JOBPLATFORM_LEASE_SECONDS": "19", "PATH": "x"})
    assert settings.imports == ("a", "b.c")
    assert settings.lease_seconds == 19.0
    assert settings.schema == "public"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"JOBPLATFORM_LEASE_SECONDS": "soon"}, "JOBPLATFORM_LEASE_SECONDS: 'soon'"),
        ({"JOBPLATFORM_LEASE_SECONDS": "14"}, "three heartbeats"),
        ({"JOBPLATFORM_LEASE_SECONDS": "1", "JOBPLATFORM_HEARTBEAT_SECONDS": "0.2"}, "not 2 or more"),
        ({"JOBPLATFORM_DRAIN_SECONDS": "-1"}, "JOBPLATFORM_DRAIN_SECONDS: -1.0 is not 0 or more"),
        ({"JOBPLATFORM_DRAIN_SECONDS": "nan"}, "JOBPLATFORM_DRAIN_SECONDS: nan is not 0 or more"),
        ({"JOBPLATFORM_KEEP_TYPES": "shop.mail"}, "no list as shop.mail=1"),
        ({"JOBPLATFORM_KEEP_TYPES": "shop.mail=-1"}, "no list as shop.mail=1"),
        ({"JOBPLATFORM_SCHEMA": 'x"; drop'}, "plain identifier"),
        ({"JOBPLATFORM_SHCEMA": "x"}, "no such setting"),
        ({"REDIS_URL": "http://x"}, "redis://"),
        ({"DATABASE_URL": "mysql://x"}, "postgresql://"),
        ({"JOBPLATFORM_METRICS_BIND": "http://x:9100/"}, "JOBPLATFORM_METRICS_BIND: 'http://x:9100/' is no address"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace("(", r"\(")):
        load_settings(environ)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_postgresql_scheme_gets_our_driver(scheme: str) -> None:
    assert Settings(database_url=f"{scheme}://u@h/d").sqlalchemy_url == "postgresql+psycopg2://u@h/d"


def test_several_hosts_are_written_as_sqlalchemy_reads_them() -> None:
    url = make_url(Settings(database_url="postgresql://u:p%40@a:1,b.c:2/d?sslmode=require").sqlalchemy_url)
    assert (url.username, url.password, url.database) == ("u", "p@", "d")
    assert PGDialect_psycopg2().create_connect_args(url)[1] == {
        "user": "u", "password": "p@", "dbname": "d", "host": "a,b.c", "port": "1,2",
        "target_session_attrs": "read-write", "sslmode": "require",
    }  # fmt: skip


def test_several_hosts_are_asked_for_what_the_url_says() -> None:
    url = Settings(database_url="postgresql://a,b/d?target_session_attrs=any").sqlalchemy_url
    assert PGDialect_psycopg2().create_connect_args(make_url(url))[1] == {
        "dbname": "d", "host": "a,b", "port": ",", "target_session_attrs": "any"
    }  # fmt: skip


def test_the_journal_lives_with_the_leases() -> None:
    assert Settings(redis_url="redis://a").journal_url == "redis://a"
    assert Settings(redis_url="redis://a", broker_url="rediss://b").journal_url == "rediss://b"
    assert Settings(redis_url="redis://a", broker_url="amqp://c").journal_url == "redis://a"


def test_the_documented_settings_are_the_real_ones() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert documented == page(), "run: python -m jobplatform.settings > docs/settings.md"


def test_another_broker_gets_no_options_of_ours() -> None:
    """Kombu hands them to its drivers, some of which refuse what they do not know."""
    app = attach(Celery(set_as_current=False), Settings(broker_url="amqp://", redis_url="redis://localhost/0"))
    assert app.conf.broker_transport_options == {}
