"""Seeds that are the same on every machine and independent of the order of work."""

from __future__ import annotations

import hashlib

MAX_SEED = 2**31 - 1
"""Below the signed 32-bit limit of LAMMPS, DeePMD-kit and the DFT codes."""


def derive_seed(campaign_seed: int, *purpose: str | int) -> int:
    """A seed in 1 … MAX_SEED from the campaign's seed and what it is for.

    SHA-256 of the parts joined by "/", so that adding a replica or a plan moves no other seed.
    """
    text = "/".join(str(part) for part in (campaign_seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % MAX_SEED + 1
