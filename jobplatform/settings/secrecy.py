"""Settings of what is hidden."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.settings.setting import names, setting


def _sealing_keys(text: str) -> KeyRing:
    return parse_keys(text, exactly=32)


@dataclass(frozen=True)
class Secrecy:
    """What is masked, signed and encrypted, and with which keys."""

    __slots__ = ()

    mask_keys: tuple[str, ...] = setting(
        "JOBPLATFORM_MASK_KEYS",
        (),
        names,
        "Names of keys, separated by commas, whose values are masked in what is shown and logged, besides those that "
        "are known for it, such as password and token.",
    )
    signing_keys: KeyRing = setting(  # noqa: RUF009 - it is a field
        "JOBPLATFORM_SIGNING_KEYS",
        KeyRing(),
        parse_keys,
        "Keys that sign messages, as `name:base64,name:base64`, of 32 bytes or more each. The first signs, all verify; "
        "with any, a worker runs no message that is not signed. Every process needs the same.",
        secret=True,
    )
    encryption_keys: KeyRing = setting(  # noqa: RUF009 - it is a field
        "JOBPLATFORM_ENCRYPTION_KEYS",
        KeyRing(),
        _sealing_keys,
        "Keys that encrypt the payloads of job types that ask for it, as `name:base64,name:base64`, of 32 bytes each. "
        "The first encrypts, all decrypt.",
        secret=True,
    )
