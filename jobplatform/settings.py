"""Settings: read once from the environment, validated, frozen."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import unquote

from jobplatform.errors import SettingsError
from jobplatform.secrecy.keyring import KeyRing, parse_keys

Network = IPv4Network | IPv6Network

#: A worker that was not heard for so many heartbeats is stale.
STALE_BEATS = 3
_LAST_PORT = 65_535
_POOL = re.compile(r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")
#: A port or a range of them, after a host and a colon or alone.
_BIND = re.compile(r"^(?:[^\s/]*:)?\d{1,5}(?:-\d{1,5})?$")
_IDENTIFIER = re.compile(r"^[a-z_][a-z0-9_]{0,62}$")
_PASSWORD = re.compile(r"^[\w+]+://[^/?#:@]*:([^/?#]+)@")
#: What stands before the hosts, the hosts, the database, and the parameters.
_SEVERAL_HOSTS = re.compile(r"^(\w+\+\w+://(?:[^/?]*@)?)([^/?@]*,[^/?@]*)(/[^?]*)?(?:\?(.*))?$")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _days(text: str) -> tuple[tuple[str, float], ...]:
    found = []
    for part in _names(text):
        name, sign, days = part.partition("=")
        if not name or not sign or not float(days) >= 0:
            raise ValueError("it is no list as shop.mail=1,reports.*=365")
        found.append((name.strip(), float(days)))
    return tuple(found)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part) for part in _names(text))


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"it is none of {', '.join(words)}")
        return text

    return parse


def _hosts_as_query(url: re.Match[str]) -> str:
    """Write several hosts as SQLAlchemy reads them; unless the URL says which is wanted, the one that takes writes."""
    head, hosts, name, query = url.groups("")
    parameters = [f"host={host}" for host in hosts.split(",")]
    if "target_session_attrs=" not in query:
        parameters.append("target_session_attrs=read-write")
    return f"{head}{name or '/'}?{'&'.join([*parameters, *filter(None, [query])])}"


def _sealing_keys(text: str) -> KeyRing:
    return parse_keys(text, exactly=32)


def _setting(
    env: str, default: Any, parse: Callable[[str], Any], meaning: str, low: float | None = None, secret: bool = False
) -> Any:
    """Describe a field; one that is secret is shown nowhere."""
    told = {"env": env, "parse": parse, "meaning": meaning, "low": low, "secret": secret}
    return field(default=default, repr=not secret, metadata=told)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an operator can set, one field an environment variable.

    Times are in seconds, sizes in bytes.
    """

    database_url: str = _setting(
        "DATABASE_URL",
        "",
        str,
        "PostgreSQL with the job tables, as postgresql://user@host:port/name. "
        "Of several servers, as user@host1:port1,host2:port2, the one that takes writes is used.",
        secret=True,
    )
    redis_url: str = _setting(
        "REDIS_URL", "", str, "Redis with the queues and the journal, as redis://host:port/0.", secret=True
    )
    broker_url: str = _setting(
        "JOBPLATFORM_BROKER_URL",
        "",
        str,
        "Another broker for the messages; the journal stays on REDIS_URL unless this is a Redis as well.",
        secret=True,
    )
    schema: str = _setting("JOBPLATFORM_SCHEMA", "public", str, "The PostgreSQL schema of the tables.")
    imports: tuple[str, ...] = _setting(
        "JOBPLATFORM_IMPORTS", (), _names, "Modules with jobs that `celery -A jobplatform` loads, separated by commas."
    )
    queues: tuple[str, ...] = _setting(
        "JOBPLATFORM_QUEUES",
        ("celery",),
        _names,
        "Queues that may be submitted to, besides those of task_queues and of the job types.",
    )
    release: str = _setting(
        "JOBPLATFORM_RELEASE", "", str, "What version of the code a worker runs; clusters of errors list it."
    )
    data_dir: str = _setting(
        "JOBPLATFORM_DATA_DIR", ".jobplatform", str, "Where `jobplatform up` keeps its embedded servers."
    )
    lease_seconds: float = _setting(
        "JOBPLATFORM_LEASE_SECONDS",
        60.0,
        float,
        "Seconds after which workers take the jobs of one that says nothing more, should no controller have done so.",
        2,
    )
    heartbeat_seconds: float = _setting(
        "JOBPLATFORM_HEARTBEAT_SECONDS",
        5.0,
        float,
        "Seconds between the signs of life of a worker; after three without one its jobs are rescued.",
        0.1,
    )
    commit_seconds: float = _setting(
        "JOBPLATFORM_COMMIT_SECONDS",
        0.01,
        float,
        "Seconds that a worker's news may wait for more to be written with.",
        0,
    )
    idle_poll_seconds: float = _setting(
        "JOBPLATFORM_IDLE_POLL_SECONDS",
        0.5,
        float,
        "Seconds after which an idle worker looks for messages of publishers that ring no bell.",
        0.05,
    )
    journal_limit: int = _setting(
        "JOBPLATFORM_JOURNAL_LIMIT",
        100_000,
        int,
        "Commits that the journal may hold before workers stop taking work.",
        100,
    )
    mirror_batch: int = _setting("JOBPLATFORM_MIRROR_BATCH", 100, int, "Commits that the mirror reads at once.", 1)
    dispatch_batch: int = _setting(
        "JOBPLATFORM_DISPATCH_BATCH", 500, int, "Due jobs that the dispatcher publishes at once.", 1
    )
    dispatch_seconds: float = _setting(
        "JOBPLATFORM_DISPATCH_SECONDS", 0.25, float, "Seconds between looks for due jobs.", 0.01
    )
    orphan_grace_seconds: float = _setting(
        "JOBPLATFORM_ORPHAN_GRACE_SECONDS", 10.0, float, "Seconds for which a row without a message is left alone.", 1
    )
    stop_seconds: float = _setting(
        "JOBPLATFORM_STOP_SECONDS",
        10.0,
        float,
        "Seconds that a running job has to stop when it is cancelled or was given to another worker; then its process "
        "is killed, where it has one of its own.",
        0,
    )
    drain_seconds: float = _setting(
        "JOBPLATFORM_DRAIN_SECONDS",
        25.0,
        float,
        "Seconds that running jobs have to end when their worker is drained or gets SIGTERM; then they are interrupted "
        "and begin again elsewhere, with no retry used up. Keep it below the time after which your deploy system kills "
        "(Kubernetes 30 s, Docker 10 s, systemd 90 s); `inf` waits for as long as it takes, as Celery does.",
        0,
    )
    payload_limit: int = _setting("JOBPLATFORM_PAYLOAD_LIMIT", 1_048_576, int, "The largest payload, in bytes.", 2)
    result_limit: int = _setting("JOBPLATFORM_RESULT_LIMIT", 1_048_576, int, "The largest result, in bytes.", 2)
    result_fresh_seconds: int = _setting(
        "JOBPLATFORM_RESULT_FRESH_SECONDS", 30, int, "Seconds for which a result is kept in Redis.", 1
    )
    upstream_seconds: float = _setting(
        "JOBPLATFORM_UPSTREAM_SECONDS",
        3600.0,
        float,
        "Seconds for which a job waits for one that no row stands for, as it may still come through the journal; then "
        "that counts as failed.",
        1,
    )
    idempotency_seconds: float = _setting(
        "JOBPLATFORM_IDEMPOTENCY_SECONDS",
        86_400.0,
        float,
        "Seconds for which an idempotency key counts, unless its submission says.",
        1,
    )
    breakers: str = _setting(
        "JOBPLATFORM_BREAKERS",
        "on",
        _one_of("on", "off"),
        "`on` holds jobs whose errors rise across others, until a single one of them succeeds.",
    )
    retry_model: str = _setting(
        "JOBPLATFORM_RETRY_MODEL",
        "auto",
        _one_of("auto", "shadow", "off"),
        "Who decides on retries: `auto` is a model where it has won against the rule, `shadow` lets models only say "
        "what they would do, `off` trains none.",
    )
    retry_explore: float = _setting(
        "JOBPLATFORM_RETRY_EXPLORE",
        0.03,
        float,
        "The share of retries that wait for a random time, from which models learn what other delays would do.",
        0,
    )
    train_every: int = _setting(
        "JOBPLATFORM_TRAIN_EVERY", 50, int, "New outcomes of retries after which a model is trained.", 1
    )
    train_seconds: float = _setting(
        "JOBPLATFORM_TRAIN_SECONDS", 300.0, float, "Seconds between the beginnings of two trainings, at least.", 0
    )
    dead_letter_days: float = _setting(
        "JOBPLATFORM_DEAD_LETTER_DAYS",
        30.0,
        float,
        "Days for which a dead letter is kept after it was resolved; one that was not is kept for ever.",
        0,
    )
    connect_seconds: float = _setting(
        "JOBPLATFORM_CONNECT_SECONDS", 3.0, float, "Seconds to wait for a connection or a reply of a store.", 0.1
    )
    fleet: str = _setting(
        "JOBPLATFORM_FLEET",
        "off",
        _one_of("local", "procfile", "kubernetes", "off"),
        "Where workers live that the controller keeps at their number: `local` as its own processes on this machine, "
        "`procfile` by a formation file, `kubernetes` by publishing the wish; `off` leaves workers to others.",
    )
    fleet_min: int = _setting("JOBPLATFORM_FLEET_MIN", 2, int, "Workers that a fleet has at least.", 0)
    fleet_max: int = _setting("JOBPLATFORM_FLEET_MAX", 5, int, "Workers that a fleet has at most.", 1)
    fleet_pool: str = _setting(
        "JOBPLATFORM_FLEET_POOL",
        "worker",
        str,
        "The name of the fleet: that of its workers, followed by a number, of the process in a Procfile, and of the "
        "deployment in Kubernetes.",
    )
    fleet_app: str = _setting(
        "JOBPLATFORM_FLEET_APP",
        "jobplatform",
        str,
        "The Celery application of a local worker, as `celery -A` takes it.",
    )
    fleet_options: str = _setting(
        "JOBPLATFORM_FLEET_OPTIONS",
        "-c 2 -l INFO --without-mingle --without-gossip",
        str,
        "What follows `celery worker` for a local worker.",
    )
    fleet_fork: str = _setting(
        "JOBPLATFORM_FLEET_FORK",
        "on",
        _one_of("on", "off"),
        "`on` starts local workers as forks of a process that has imported the application, in a fifth of the time.",
    )
    fleet_at_exit: str = _setting(
        "JOBPLATFORM_FLEET_AT_EXIT",
        "stay",
        _one_of("stay", "drain"),
        "What local workers do when their controller ends: `stay`, and the next one finds them; or `drain`.",
    )
    fleet_file: str = _setting(
        "JOBPLATFORM_FLEET_FILE", "formation", str, "The file of a `procfile` fleet, which gets a line as `worker=3`."
    )
    fleet_start_seconds: float = _setting(
        "JOBPLATFORM_FLEET_START_SECONDS",
        60.0,
        float,
        "Seconds that a worker has to take jobs after it was started.",
        1,
    )
    replace: str = _setting(
        "JOBPLATFORM_REPLACE",
        "on",
        _one_of("on", "off"),
        "`on` replaces workers of the fleet that are failing or stand still; `off` does so only when asked by hand.",
    )
    replace_seconds: float = _setting(
        "JOBPLATFORM_REPLACE_SECONDS",
        600.0,
        float,
        "Seconds between the beginnings of two replacements of workers that are failing, at least.",
        0,
    )
    scaler: str = _setting(
        "JOBPLATFORM_SCALER",
        "off",
        _one_of("off", "dry", "rule", "auto"),
        "Who says how many workers there should be: a forecast (auto), the rate of arrivals (rule), a forecast that is "
        "only written down (dry), or nobody (off).",
    )
    scale_seconds: float = _setting(
        "JOBPLATFORM_SCALE_SECONDS", 30.0, float, "Seconds from one decision on the number of workers to the next.", 1
    )
    scale_horizon_seconds: float = _setting(
        "JOBPLATFORM_SCALE_HORIZON_SECONDS",
        300.0,
        float,
        "Seconds ahead in which a worker must not be needed to be let go.",
        0,
    )
    cooldown_seconds: float = _setting(
        "JOBPLATFORM_SCALE_COOLDOWN_SECONDS",
        60.0,
        float,
        "Seconds after workers were asked for in which none is let go.",
        0,
    )
    worker_start_seconds: float = _setting(
        "JOBPLATFORM_WORKER_START_SECONDS",
        10.0,
        float,
        "Seconds from when a worker is asked for until it takes jobs.",
        0,
    )
    worker_slots: int = _setting(
        "JOBPLATFORM_WORKER_SLOTS",
        0,
        int,
        "Jobs that a worker runs at once, for whoever says how many workers there should be; 0 believes the workers.",
        0,
    )
    wait_slo_seconds: float = _setting(
        "JOBPLATFORM_WAIT_SLO_SECONDS", 30.0, float, "Seconds that a job may wait until it begins.", 0
    )
    late_cost: float = _setting(
        "JOBPLATFORM_LATE_COST",
        0.7,
        float,
        "What a job costs that waits for longer than it may, in hours of a worker; the more, the larger the reserve.",
        0,
    )
    sample_seconds: float = _setting(
        "JOBPLATFORM_SAMPLE_SECONDS", 30.0, float, "Seconds between two samples of workers and queues.", 0.5
    )
    sample_days: float = _setting(
        "JOBPLATFORM_SAMPLE_DAYS", 14.0, float, "Days for which samples and verdicts are kept.", 0
    )
    worker_memory: int = _setting(
        "JOBPLATFORM_WORKER_MEMORY",
        0,
        int,
        "Bytes that a worker with its processes may take before something kills it; of its control group and of the "
        "machine it knows by itself, so 0 is right in a container.",
        0,
    )
    health_model: str = _setting(
        "JOBPLATFORM_HEALTH_MODEL",
        "auto",
        _one_of("auto", "shadow", "off"),
        "Who judges workers: `auto` lets a model add to the rules once it has beaten them, `shadow` lets it only say "
        "what it would do, `off` trains none.",
    )
    health_train_seconds: float = _setting(
        "JOBPLATFORM_HEALTH_TRAIN_SECONDS", 3600.0, float, "Seconds between two trainings of it, at least.", 0
    )
    duration_model: str = _setting(
        "JOBPLATFORM_DURATION_MODEL",
        "auto",
        _one_of("auto", "shadow", "off"),
        "Who foretells how long jobs take: `auto` is a model where it is better than the rule, `shadow` trains models "
        "that foretell nothing, `off` trains none; then the rule foretells.",
    )
    web_bind: str = _setting(
        "JOBPLATFORM_WEB_BIND",
        "127.0.0.1:8700",
        str,
        "Where `jobplatform web` listens. Beyond this machine only once somebody administers the platform.",
    )
    web_hosts: tuple[str, ...] = _setting(
        "JOBPLATFORM_WEB_HOSTS",
        (),
        _names,
        "Host names under which the dashboard is reached; one for another name is refused.",
    )
    web_proxies: tuple[str, ...] = _setting(
        "JOBPLATFORM_WEB_PROXIES",
        (),
        _names,
        "Addresses of proxies that are believed when they say where a request came from, and by which scheme.",
    )
    metrics_bind: str = _setting(
        "JOBPLATFORM_METRICS_BIND",
        "",
        str,
        "Where the controller and each worker tell Prometheus and probes how they are: a port of this machine alone, "
        "host:port, or host:first-last, of which each process takes the first that is free. Not at all if empty.",
    )
    log_format: str = _setting(
        "JOBPLATFORM_LOG_FORMAT",
        "text",
        _one_of("text", "json"),
        "How workers, the controller, beat and the web process write their logs: as `text`, or as a JSON object a "
        "line, with ids.",
    )
    capture_logs: str = _setting(
        "JOBPLATFORM_CAPTURE_LOGS",
        "failed",
        _one_of("on", "failed", "off"),
        "Of which attempts what their code logs is kept with them: all (`on`), those that failed, or none; the option "
        "`logs` of a job type stands above it.",
    )
    log_limit: int = _setting(
        "JOBPLATFORM_LOG_LIMIT", 65_536, int, "So many bytes of the log of an attempt are kept, the last ones.", 0
    )
    traces: str = _setting(
        "JOBPLATFORM_TRACES",
        "off",
        _one_of("on", "off"),
        "`on` makes OpenTelemetry spans of submissions and attempts; it takes the extra `otel`.",
    )

    keep_days: float = _setting(
        "JOBPLATFORM_KEEP_DAYS",
        float("inf"),
        float,
        "Days for which a job is kept after it ended, with its executions and decisions; `inf` keeps it for ever. Keep "
        "it above the retention of idempotency keys.",
        0,
    )
    keep_types: tuple[tuple[str, float], ...] = _setting(
        "JOBPLATFORM_KEEP_TYPES",
        (),
        _days,
        "Days for jobs of some types, as shop.mail=1,reports.*=365; the first name or pattern that fits counts.",
    )
    export_dir: str = _setting(
        "JOBPLATFORM_EXPORT_DIR",
        "",
        str,
        "Where jobs are written, a line of JSON each, before they are deleted; empty deletes without.",
    )

    audit_days: float = _setting(
        "JOBPLATFORM_AUDIT_DAYS",
        float("inf"),
        float,
        "Days for which rows of the audit log are kept; `jobplatform prune` moves older ones into files in "
        "JOBPLATFORM_EXPORT_DIR, and leaves them if that is not set.",
        1,
    )
    alert_webhooks: tuple[str, ...] = _setting(
        "JOBPLATFORM_ALERT_WEBHOOKS", (), _names, "Where alerts are posted to, https://host/path, separated by commas."
    )
    alert_hosts: tuple[str, ...] = _setting(
        "JOBPLATFORM_ALERT_HOSTS", (), _names, "The hosts that webhooks may name, exactly as they are written."
    )
    alert_networks: tuple[Network, ...] = _setting(
        "JOBPLATFORM_ALERT_NETWORKS",
        (),
        _networks,
        "Networks of webhooks that may be reached although they are not public, as 10.1.2.0/24.",
    )
    alert_secret: str = _setting(
        "JOBPLATFORM_ALERT_SECRET",
        "",
        str,
        "With which webhooks are signed (HMAC-SHA256); empty for no signature.",
        secret=True,
    )
    alert_smtp: str = _setting(
        "JOBPLATFORM_ALERT_SMTP",
        "",
        str,
        "The server that sends mails of alerts, smtp://user:password@host:587 (STARTTLS) or smtps://host:465.",
        secret=True,
    )
    alert_mail: tuple[str, ...] = _setting(
        "JOBPLATFORM_ALERT_MAIL", (), _names, "Who gets mails of alerts; the first address is the sender as well."
    )
    alert_repeat_seconds: float = _setting(
        "JOBPLATFORM_ALERT_REPEAT_SECONDS",
        14_400.0,
        float,
        "Seconds after which an alert that lasts is told again.",
        60,
    )
    alert_letters: int = _setting(
        "JOBPLATFORM_ALERT_LETTERS", 20, int, "Dead letters within ten minutes that are an alert; 0 for never.", 0
    )
    alert_wait_seconds: float = _setting(
        "JOBPLATFORM_ALERT_WAIT_SECONDS",
        300.0,
        float,
        "Seconds of waiting in a queue that are an alert; 0 for never.",
        0,
    )
    alert_late_seconds: float = _setting(
        "JOBPLATFORM_ALERT_LATE_SECONDS",
        300.0,
        float,
        "Seconds by which a schedule may be late before that is an alert; 0 for never.",
        0,
    )
    submit_rate: float = _setting(
        "JOBPLATFORM_SUBMIT_RATE",
        500.0,
        float,
        "Jobs a second that one user or token may submit over HTTP in the long run; 0 for any.",
        0,
    )
    submit_burst: float = _setting(
        "JOBPLATFORM_SUBMIT_BURST", 5000.0, float, "Jobs that one of them may submit at once after a pause.", 1
    )
    mask_keys: tuple[str, ...] = _setting(
        "JOBPLATFORM_MASK_KEYS",
        (),
        _names,
        "Names of keys, separated by commas, whose values are masked in what is shown and logged, besides those that "
        "are known for it, such as password and token.",
    )
    signing_keys: KeyRing = _setting(  # noqa: RUF009 - it is a field
        "JOBPLATFORM_SIGNING_KEYS",
        KeyRing(),
        parse_keys,
        "Keys that sign messages, as `name:base64,name:base64`, of 32 bytes or more each. The first signs, all verify; "
        "with any, a worker runs no message that is not signed. Every process needs the same.",
        secret=True,
    )
    encryption_keys: KeyRing = _setting(  # noqa: RUF009 - it is a field
        "JOBPLATFORM_ENCRYPTION_KEYS",
        KeyRing(),
        _sealing_keys,
        "Keys that encrypt the payloads of job types that ask for it, as `name:base64,name:base64`, of 32 bytes each. "
        "The first encrypts, all decrypt.",
        secret=True,
    )

    def __post_init__(self) -> None:
        self.web_address  # noqa: B018
        if self.fleet_max < self.fleet_min:
            raise SettingsError(
                f"JOBPLATFORM_FLEET_MAX: {self.fleet_max} is below JOBPLATFORM_FLEET_MIN, {self.fleet_min}; raise it"
            )
        if not _POOL.match(self.fleet_pool):
            raise SettingsError(
                f"JOBPLATFORM_FLEET_POOL: {self.fleet_pool!r} is no name that Kubernetes takes as well; "
                "use lower-case letters, digits and dashes, at most 40, and begin with a letter"
            )
        if self.metrics_bind and not _BIND.match(self.metrics_bind):
            raise SettingsError(
                f"JOBPLATFORM_METRICS_BIND: {self.metrics_bind!r} is no address; "
                "give a port, host:port or host:first-last"
            )
        if not _IDENTIFIER.match(self.schema):
            raise SettingsError(
                f"JOBPLATFORM_SCHEMA: {self.schema!r} is no plain identifier; "
                "use lower-case letters, digits and underscores, at most 63"
            )
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError("REDIS_URL: it must begin with redis://, rediss:// or unix://")
        if self.database_url and not self.database_url.startswith(("postgresql", "postgres://")):
            raise SettingsError("DATABASE_URL: it must begin with postgresql://")
        if self.lease_seconds < self.stale_seconds:
            raise SettingsError(
                f"JOBPLATFORM_LEASE_SECONDS: {self.lease_seconds:g} is shorter than three heartbeats "
                f"({self.stale_seconds:g} s); raise it, or lower JOBPLATFORM_HEARTBEAT_SECONDS"
            )
        for item in fields(self):
            low = item.metadata.get("low")
            if low is not None and not getattr(self, item.name) >= low:
                raise SettingsError(
                    f"{item.metadata['env']}: {getattr(self, item.name)!r} is not {low} or more; raise it"
                )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may show: the passwords in the URLs, and the keys."""
        urls = (self.database_url, self.redis_url, self.broker_url, self.alert_smtp)
        written = [found[1] for url in urls if (found := _PASSWORD.search(url))]
        keys = [key for ring in (self.signing_keys, self.encryption_keys) for key in ring.keys.values()]
        alone = (self.alert_secret,) if self.alert_secret else ()
        return (*written, *map(unquote, written), *(b64encode(key).decode() for key in keys), *alone)

    @property
    def stale_seconds(self) -> float:
        """After how many seconds of silence a worker is taken for dead."""
        return STALE_BEATS * self.heartbeat_seconds

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
    def web_address(self) -> tuple[str, int]:
        """Where the dashboard listens: host and port.

        :raises SettingsError: when it is no host and port.
        """
        host, _, port = self.web_bind.rpartition(":")
        if not host or not port.isdecimal() or int(port) > _LAST_PORT:
            raise SettingsError(f"JOBPLATFORM_WEB_BIND: {self.web_bind!r} is no host:port; give one, as 127.0.0.1:8700")
        return host.strip("[]"), int(port)

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL with the driver named, as SQLAlchemy wants it."""
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg2://", self.database_url)
        return _SEVERAL_HOSTS.sub(_hosts_as_query, url)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings out of an environment.

    :param environ: usually ``os.environ``.
    :raises SettingsError: when a variable cannot be parsed, is out of range, or is an unknown ``JOBPLATFORM_*``.
    """
    known = {item.metadata["env"]: item for item in fields(Settings)}
    unknown = sorted(name for name in environ if name.startswith("JOBPLATFORM_") and name not in known)
    if unknown:
        raise SettingsError(f"{unknown[0]}: no such setting; the settings are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for env, item in known.items():
        text = environ.get(env, "")
        if text == "":
            continue
        try:
            values[item.name] = item.metadata["parse"](text)
        except ValueError as error:
            what = "it" if item.metadata["secret"] else repr(text)
            raise SettingsError(f"{env}: {what} cannot be read: {error}; correct it") from error
    return Settings(**values)


def page() -> str:
    """Write the documentation page of the settings."""
    lines = [
        "# Settings",
        "",
        "Generated from `jobplatform/settings.py` by `python -m jobplatform.settings`; a test compares the two.",
        "Every process reads them once, from the environment.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for item in fields(Settings):
        default = ",".join(item.default) if isinstance(item.default, tuple) else item.default
        default = "" if isinstance(default, KeyRing) else default
        lines.append(
            f"| `{item.metadata['env']}` | {f'`{default}`' if default != '' else ''} | {item.metadata['meaning']} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
