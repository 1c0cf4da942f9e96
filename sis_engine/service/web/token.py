"""The token that opens the page: random, in a file that only its owner can read."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

BYTES = 32


def token_of(path: Path) -> str:
    """The token, made at the first call. A file that others may read is replaced."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _made(path)
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        private = os.fstat(file.fileno()).st_mode & 0o077 == 0
        text = file.read(4 * BYTES).strip()
    if private and len(text) >= BYTES:
        return text
    path.unlink()
    return _made(path)


def _made(path: Path) -> str:
    text = secrets.token_urlsafe(BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
    return text


def cookie_name(token: str) -> str:
    """Browsers share cookies between the ports of a host: each service has one of its own."""
    return f"sis_{hashlib.sha256(token.encode()).hexdigest()[:12]}"
