"""What a model file computes, told apart from where and when it was written."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib

LEFT_OUT = (".debug_pkl", "/.data/serialization_id")
"""How members of a TorchScript archive end that nothing is computed with: the source lines its
code came from, by absolute path, and a hash over these with all else."""


def content_sha256(data: bytes, whole: str) -> str:
    """SHA-256 over the members of an archive that compute something; nothing in it is loaded.

    whole: SHA-256 of ``data``, which is given back where ``data`` is no whole archive
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _of_members(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError):
        return whole


def _of_members(archive: zipfile.ZipFile) -> str:
    found = hashlib.sha256()
    for name in sorted(name for name in archive.namelist() if not name.endswith(LEFT_OUT)):
        content = archive.read(name)
        found.update(f"{len(name.encode())}:{name}{len(content)}:".encode())
        found.update(content)
    return found.hexdigest()
