"""Secrets: passwords, which people choose, and tokens, which we draw; of both only a hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from jobplatform.errors import JobOptionError

#: What a token begins with, so that a scan for secrets knows it.
TOKEN_PREFIX = "jp_"
#: Random bytes of a token and of a session.
_BYTES = 32
#: The shortest and longest passwords, in characters (NIST SP 800-63B, 3.1.1.2; OWASP ASVS 5.0, 6.2.1 and 6.2.9).
SHORTEST, LONGEST = 15, 256
#: Parameters of RFC 9106, section 4, the second recommended option: 64 MiB, three passes, four lanes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)


def hash_password(password: str) -> str:
    """Hash a password with Argon2id.

    :raises JobOptionError: when it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise JobOptionError(
            f"password: it has {len(password)} characters; give {SHORTEST} to {LONGEST}, such as four words"
        )
    return _HASHER.hash(password)


def is_password(hashed: str | None, password: str) -> bool:
    """Tell whether a password is the one that was hashed; it takes as long where nothing was.

    :param hashed: None when there is no such user.
    """
    try:
        return _HASHER.verify(hashed or _nobody(), password[:LONGEST]) and hashed is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """Give what is compared with when nobody has the name, so that the answer takes as long."""
    return _HASHER.hash("nobody has this password")


def new_token() -> str:
    """Draw a token for a program."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_BYTES)


def new_session() -> str:
    """Draw what a browser keeps of a session."""
    return secrets.token_urlsafe(_BYTES)


def new_password() -> str:
    """Draw a password for somebody who is to type it."""
    return "-".join(secrets.token_hex(3) for _ in range(4))


def digest(secret: str) -> bytes:
    """Hash what was drawn; it has as many random bits as the hash, so nothing slower is needed."""
    return hashlib.sha256(secret.encode()).digest()
