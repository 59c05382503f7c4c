"""Users and tokens, as statements give them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class User(TypedDict):
    """A user; null queues and tenants are all of them."""

    user_id: int
    name: str
    role: str
    more: list[str]
    queues: list[str] | None
    tenants: list[str] | None
    created_at: datetime
    seen_at: datetime | None
    disabled_at: datetime | None


class TokenListed(TypedDict):
    """A token, without its secret, which nobody keeps."""

    token_id: int
    name: str
    user: str
    permissions: list[str]
    queues: list[str] | None
    tenants: list[str] | None
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None
