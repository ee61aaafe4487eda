"""Who the benchmark is for a system that asks: its administrator, and to crud a gateway that speaks for him."""

from collections.abc import Mapping
from typing import Final

from sarvanom.security.derived_keys import derive_key
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import SCOPES
from sarvanom.security.statements import HEADER, PURPOSE, Statements

ADMIN_KEY: Final = "sk-bench-T7mKx2Vq9Lc4Wz8Rb1Hd6Nf3Jp5Ys0G"
AUTHORIZATION: Final = f"Bearer {ADMIN_KEY}"
INTERNAL_SECRET: Final = "b7Wq2Zk9Xw4Ls1Rt6Yb3Hd8Jm5Pf0Gc-bench"  # noqa: S105 (of benchmarks alone)
SETTINGS: Final[Mapping[str, str]] = {"SARVANOM_ADMIN_KEY": ADMIN_KEY, "SARVANOM_INTERNAL_SECRET": INTERNAL_SECRET}
"""What the project is started with, so that this key and these statements are good for it."""


def statement(method: str, target: str, media_type: str) -> str:
    """Return the header line that crud asks for, of a request whose body is not covered; it holds for a minute.

    The request has this media type as its `Content-Type` and then as its `Accept`.
    """
    statements = Statements(derive_key(INTERNAL_SECRET.encode(), PURPOSE))
    headers = [(b"content-type", media_type.encode()), (b"accept", media_type.encode())]
    signed = statements.sign(Principal("key:benchmark", SCOPES), method, target.encode(), headers, None)
    return f"{HEADER.decode()}: {signed.decode()}"
