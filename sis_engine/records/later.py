"""Fields that records got after digest 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LATER: Final[Mapping[str, Any]] = {"later": True}
"""``field(default=…, metadata=LATER)``: the field counts in a digest only where it is not its
default, so that campaigns which do not use it keep the digest they had before it existed."""
