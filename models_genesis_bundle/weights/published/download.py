"""The published weight files from their public location, for those who accept the authors' licence."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from models_genesis_bundle.weights.published.layout import BASE_URL
from models_genesis_bundle.weights.published.registry import LAYOUTS

__all__ = ["LICENCE_SUMMARY", "PUBLISHED_FILES", "DownloadError", "download_published"]

logger = logging.getLogger(__name__)

PUBLISHED_FILES = tuple(layout.file for layout in LAYOUTS)
LICENCE_SUMMARY = f"""\
The published Models Genesis weights are the work of their authors at Arizona State University, not of this project.
- They are for non-commercial use only.
- A patent on the method is pending.
This is a summary. What counts is the licence that the authors publish: {BASE_URL.removesuffix("/resolve/main")}"""

CHUNK = 1 << 20  # bytes
TIMEOUT = 60.0  # seconds without an answer


class DownloadError(RuntimeError):
    """A file could not be had; the message names its address, the reason and what to do."""


def download_published(
    name: str, output_dir: str | os.PathLike, base_url: str = BASE_URL, sha256: str | None = None
) -> Path:
    """Download a published file, or the rest of one, and put it in place when it is whole.

    What has come so far stands in ``.<name>.unfinished`` beside the file and stays there when the connection breaks; the
    next call asks the server for the rest. A server that cannot send a rest sends all again.

    Args:
        name: one of ``PUBLISHED_FILES``.
        output_dir: folder of the file; made when it is not there.
        base_url: what stands before the name in the address.
        sha256: hexadecimal digest that the file must have.

    Returns:
        The file's path; a file that is already there is not downloaded again.

    Raises:
        DownloadError: for a name that is not published, no connection, an error of the server, an incomplete file, no space
            to write it, and another digest than ``sha256``; a file of another digest is removed, or left where it stood before.
    """
    if name not in PUBLISHED_FILES:
        raise DownloadError(f"{name}: no published file of that name. There are {', '.join(PUBLISHED_FILES)}.")
    path = Path(output_dir) / name
    url = f"{base_url.rstrip('/')}/{name}"
    if path.is_file():
        _require_digest(path, sha256, "It was there before and is kept: move it away to have it downloaded.")
        logger.info("%s is already there.", path)
        return path
    unfinished = path.with_name(f".{name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, unfinished)
    except urllib.error.HTTPError as error:
        raise DownloadError(
            f"{url}: the server answered {error.code} ({error.reason}). Look up in a browser whether the file is still there; "
            "another location of it can be given as base_url."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(
            f"{url}: could not be downloaded to {unfinished.parent} ({type(error).__name__}: {reason}). {_so_far(unfinished)}"
            "Check connection and disk, then repeat the command."
        ) from error
    try:
        _require_digest(unfinished, sha256, "It was removed: another version of the file, or damaged on the way.")
    except DownloadError:
        unfinished.unlink()
        raise
    os.replace(unfinished, path)
    logger.info("%s: %d bytes, SHA-256 %s", path, path.stat().st_size, _digest(path))
    return path


def _fetch(url: str, unfinished: Path) -> None:
    """Append to what is there until the file is whole."""
    present = unfinished.stat().st_size if unfinished.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={present}-"} if present else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not present:
            raise
        if _total(error.headers.get("Content-Range")) == present:
            return
        unfinished.unlink()
        return _fetch(url, unfinished)
    with response:
        continues = response.status == http.client.PARTIAL_CONTENT
        start = present if continues else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        with (
            unfinished.open("ab" if continues else "wb") as file,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1]) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    found = unfinished.stat().st_size
    if total is not None and found != total:
        raise ConnectionError(f"the connection ended after {found} of {total} bytes")


def _total(content_range: str | None) -> int | None:
    """The whole length, from ``bytes */123``."""
    match = re.fullmatch(r"bytes .*/(\d+)", content_range or "")
    return int(match[1]) if match else None


def _so_far(unfinished: Path) -> str:
    if not unfinished.is_file():
        return ""
    return f"The {unfinished.stat().st_size} bytes that came are kept in {unfinished.name}, and the rest will be asked for. "


def _require_digest(path: Path, sha256: str | None, consequence: str) -> None:
    if sha256 is not None and (found := _digest(path)) != str(sha256).lower():
        raise DownloadError(f"{path}: SHA-256 is {found}, expected {str(sha256).lower()}. {consequence}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
