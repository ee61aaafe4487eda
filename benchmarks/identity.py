"""Who the benchmark is for a system that asks: its administrator."""

from collections.abc import Mapping
from typing import Final

ADMIN_KEY: Final = "sk-bench-T7mKx2Vq9Lc4Wz8Rb1Hd6Nf3Jp5Ys0G"
AUTHORIZATION: Final = f"Bearer {ADMIN_KEY}"
SETTINGS: Final[Mapping[str, str]] = {"SARVANOM_ADMIN_KEY": ADMIN_KEY}
"""What the project is started with, so that this key is good for it."""
