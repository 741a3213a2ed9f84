"""The digest of a file's content."""

from __future__ import annotations

import hashlib
import os

__all__ = ["file_sha256"]


def file_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits.

    Examples:
        ``file_sha256("models/model.pt")`` is what ``sha256sum models/model.pt`` prints.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
