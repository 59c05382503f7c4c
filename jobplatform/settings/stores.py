"""Settings of the stores."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobplatform.errors import SettingsError
from jobplatform.settings.setting import setting

_IDENTIFIER = re.compile(r"^[a-z_][a-z0-9_]{0,62}$")
#: What stands before the hosts, the hosts, the database, and the parameters.
_SEVERAL_HOSTS = re.compile(r"^(\w+\+\w+://(?:[^/?]*@)?)([^/?@]*,[^/?@]*)(/[^?]*)?(?:\?(.*))?$")


@dataclass(frozen=True)
class Stores:
    """PostgreSQL and Redis, and how they are reached."""

    __slots__ = ()

    database_url: str = setting(
        "DATABASE_URL",
        "",
        str,
        "PostgreSQL with the job tables, as postgresql://user@host:port/name. "
        "Of several servers, as user@host1:port1,host2:port2, the one that takes writes is used.",
        secret=True,
    )
    redis_url: str = setting(
        "REDIS_URL", "", str, "Redis with the queues and the journal, as redis://host:port/0.", secret=True
    )
    broker_url: str = setting(
        "JOBPLATFORM_BROKER_URL",
        "",
        str,
        "Another broker for the messages; the journal stays on REDIS_URL unless this is a Redis as well.",
        secret=True,
    )
    schema: str = setting("JOBPLATFORM_SCHEMA", "public", str, "The PostgreSQL schema of the tables.")
    connect_seconds: float = setting(
        "JOBPLATFORM_CONNECT_SECONDS", 3.0, float, "Seconds to wait for a connection or a reply of a store.", 0.1
    )
    data_dir: str = setting(
        "JOBPLATFORM_DATA_DIR", ".jobplatform", str, "Where `jobplatform up` keeps its embedded servers."
    )

    @property
    def broker(self) -> str:
        """The URL that Celery's messages travel on; the Redis of the journal unless another is named."""
        return self.broker_url or self.redis_url

    @property
    def leases(self) -> bool:
        """Tell whether messages travel on our Redis transport."""
        return self.broker.startswith(("redis://", "rediss://"))

    @property
    def journal_url(self) -> str:
        """The Redis that holds the journal: where there are leases, theirs, so that both change in one step."""
        return self.broker if self.leases else self.redis_url

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL with the driver named, as SQLAlchemy wants it."""
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg2://", self.database_url)
        return _SEVERAL_HOSTS.sub(_hosts_as_query, url)


def check_stores(stores: Stores) -> None:
    """Refuse what names no store.

    :raises SettingsError: naming the variable.
    """
    if not _IDENTIFIER.match(stores.schema):
        raise SettingsError(
            f"JOBPLATFORM_SCHEMA: {stores.schema!r} is no plain identifier; "
            "use lower-case letters, digits and underscores, at most 63"
        )
    if stores.redis_url and not stores.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("REDIS_URL: it must begin with redis://, rediss:// or unix://")
    if stores.database_url and not stores.database_url.startswith(("postgresql", "postgres://")):
        raise SettingsError("DATABASE_URL: it must begin with postgresql://")


def _hosts_as_query(url: re.Match[str]) -> str:
    """Write several hosts as SQLAlchemy reads them; unless the URL says which is wanted, the one that takes writes."""
    head, hosts, name, query = url.groups("")
    parameters = [f"host={host}" for host in hosts.split(",")]
    if "target_session_attrs=" not in query:
        parameters.append("target_session_attrs=read-write")
    return f"{head}{name or '/'}?{'&'.join([*parameters, *filter(None, [query])])}"
