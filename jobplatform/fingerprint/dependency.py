"""What an error points at: a host, a database or a file system; nothing for an ordinary bug."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Client errors (RFC 9110 section 15.5) that say something of the server: timeout, too early, too many requests.
_PASSING = frozenset({408, 425, 429})
#: Errors of a file system, whichever file it is.
_OF_FILE_SYSTEMS = frozenset({errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EROFS, errno.EDQUOT, errno.ENOTCONN})
_ERRNO = re.compile(r"\[Errno (\d+)\][^\n]*?: ['\"](/[^'\"\n]+)['\"]")
_DATABASES = (
    (re.compile(r"psycopg|asyncpg|pg8000|postgres", re.IGNORECASE), "postgresql"),
    (re.compile(r"mysql|mariadb", re.IGNORECASE), "mysql"),
    (re.compile(r"sqlite", re.IGNORECASE), "sqlite"),
    (re.compile(r"oracle|ORA-\d"), "oracle"),
    (re.compile(r"pyodbc|pymssql|SQL Server"), "mssql"),
    (re.compile(r"^(?:sqlalchemy|django\.db|peewee)\b"), "sql"),
)
#: What a database says that is away, full or overloaded, and not of a statement that is wrong.
_DATABASE_TROUBLE = re.compile(
    r"connect|server closed|gone away|starting up|shutting down|in recovery|too many clients|slots are reserved"
    r"|could not translate host|could not receive|could not send|timeout expired|timed out|statement timeout"
    r"|disk full|No space left|disk I/O|database is locked|unable to open database|out of (?:shared )?memory"
    r"|QueuePool limit|read-only transaction|SSL (?:SYSCALL|connection)|cannot execute \w+ in a read-only"
    r"|password authentication failed|no pg_hba.conf entry|database \"[^\"]+\" (?:does not exist|is not)",
    re.IGNORECASE,
)
_DATABASE_HOST = re.compile(
    r"(?:server at|server on|host name|to host|MySQL server (?:on|at)|host|hostaddr)\s*[=:]?\s*['\"]([\w.:%-]+)['\"]"
    r"|could not connect to server:.*?\n?\s*Is the server running on host ['\"]([\w.:%-]+)['\"]"
    r"|Connect call failed \('([^']+)'",
    re.DOTALL,
)
_DATABASE_NAME = re.compile(r"database ['\"]([\w.-]+)['\"]|@[\w.-]+:?\d*/([\w-]+)", re.IGNORECASE)
#: What went wrong between this machine and another, or on the other.
_REMOTE_KIND = re.compile(
    r"Connect|Timeout|TimedOut|Network|Remote|Unreachable|Unavailable|Transport|Protocol|RequestE|HTTP|URLError|SSL"
    r"|gaierror|DNS|ServerError|ServerDis|Gateway|Socket|Proxy|MaxRetry|Resolution|RateLimit|Throttl"
)
_REMOTE = re.compile(
    r"connection (?:refused|reset|aborted|timed out|error|closed|failed|attempts? failed)|timed? ?out|unreachable"
    r"|no route to host"
    r"|max retries exceeded|name or service not known|temporary failure in name resolution|getaddrinfo"
    r"|failed to resolve|nodename nor servname|broken pipe|(?:bad|time-?out) gateway|gateway time-?out"
    r"|service unavailable|too many requests|internal server error|remote end closed"
    r"|(?:http|status)(?:[ /_]\w+)?[\s:=]*(?:5\d\d|429|408)\b"
    r"|\b5\d\d (?:server )?error"
    r"|cannot connect|can't connect|could not connect|connect call failed|error \d+ connecting"
    r"|unexpected eof|certificate verify",
    re.IGNORECASE,
)
#: One of these is in whatever the pattern above finds, and they are found faster.
_SIGNS = ("connect", "time", "unreach", "route", "retries", "resol", "servi", "servname", "gateway", "requests", "http",
    "status", "error", "eof", "certificate", "addrinfo", "pipe", "remote end")  # fmt: skip
_WORD = r"(?:[A-Za-z0-9](?:[\w-]*\w)?(?:\.[\w-]*\w)*|\[[\da-fA-F:.]+\])"
_END = r"['\"]?(?=$|[\s:,;.)'\"])"
_HOST = (
    re.compile(rf"\b[a-z][a-z0-9+.-]*://(?:[^\s/@'\"]*@)?({_WORD})", re.IGNORECASE),
    re.compile(rf"\bhost(?:name)?\s*[=:]\s*['\"]?({_WORD})", re.IGNORECASE),
    re.compile(
        rf"(?:failed to resolve|resolve host|host name|resolving|getaddrinfo failed for|host)\s+['\"]?({_WORD}){_END}",
        re.IGNORECASE,
    ),
    re.compile(rf"\('({_WORD})', \d{{1,5}}(?:, \d+, \d+)?\)"),
    re.compile(rf"(?<![\w/.:@-])({_WORD}):\d{{2,5}}\b(?![:.]\d)"),
    re.compile(
        rf"\b(?:to|from|at|on|by|of|for|with)\s+['\"]?((?:[a-z][\w-]*\.)+[a-z][\w-]*|\d{{1,3}}(?:\.\d{{1,3}}){{3}}){_END}",
        re.IGNORECASE,
    ),
)
#: Words after ``host`` that are none.
_NO_HOST = re.compile(
    "is|not|was|has|failed|unreachable|name|lookup|for|down|error|the|a|to|and|or|line|port|\\d+"
    r"|.*\.(?:py|json|csv|txt|xml|log|html)"
)


def dependency_of(error: Mapping[str, Any], causes: Iterable[tuple[str, str]] = ()) -> str | None:
    """Tell what an error, or what it came of, points at: ``host:...``, ``database:...`` or ``file:...``.

    :param error: what ``journal.failure.describe`` says of a failure.
    :param causes: type and message of what it came of.
    """
    status = error.get("status")
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING:
        return None
    kind, message = str(error.get("type", "")), str(error.get("message", ""))[:4_000]
    found = _file_system(error.get("errno"), error.get("path"), message) or _database(kind, message, error.get("host"))
    if found is None and error.get("host"):
        found = f"host:{str(error['host']).lower()}"
    found = found or _host(kind, " ".join(error.get("classes", ())), message, status is not None)
    return found or next(filter(None, (_of_cause(*cause) for cause in causes)), None)


def _of_cause(kind: str, message: str) -> str | None:
    return _file_system(None, None, message) or _database(kind, message, None) or _host(kind, "", message, False)


def _file_system(number: Any, path: Any, message: str) -> str | None:
    if number is None and "[Errno" in message:
        found = _ERRNO.search(message)
        number, path = (int(found[1]), found[2]) if found else (None, None)
    if number not in _OF_FILE_SYSTEMS or not isinstance(path, str) or not path.startswith("/"):
        return None
    directories = [part for part in path.split("/") if part][:-1][:2]
    return f"file:/{'/'.join(directories)}"


def _database(kind: str, message: str, host: Any) -> str | None:
    where = f"{kind} {message}" if kind.startswith(("sqlalchemy", "django.db", "peewee")) else kind
    name = next((name for pattern, name in _DATABASES if pattern.search(where)), None)
    if name is None or not _DATABASE_TROUBLE.search(message):
        return None
    found = _DATABASE_HOST.search(message)
    named = (found and next(filter(None, found.groups()), None)) or host
    if not named:
        found = _DATABASE_NAME.search(message)
        named = found and next(filter(None, found.groups()), None)
    return f"database:{str(named or name).lower()}"


def _is_remote(message: str) -> bool:
    small = message.lower()
    return any(sign in small for sign in _SIGNS) and bool(_REMOTE.search(message))


def _host(kind: str, classes: str, message: str, answered: bool) -> str | None:
    if not (answered or _REMOTE_KIND.search(f"{kind} {classes}") or _is_remote(message)):
        return None
    for pattern in _HOST:
        for found in pattern.finditer(message):
            host = found[1].strip("[]").lower()
            if not _NO_HOST.fullmatch(host):
                return f"host:{host}"
    return None
