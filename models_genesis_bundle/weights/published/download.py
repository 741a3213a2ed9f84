"""The download of published weight files, for users who accept the authors' licences."""

from __future__ import annotations

import logging
import os
import re
import urllib.request
from pathlib import Path

from models_genesis_bundle.files import file_sha256, whole_file
from models_genesis_bundle.messages import causes
from models_genesis_bundle.weights.published import FILES
from models_genesis_bundle.weights.published.layout import Layout
from monai.utils import optional_import

logger = logging.getLogger(__name__)

HUB_ADDRESS = re.compile(r"(?P<endpoint>https?://.+)/(?P<repo_id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)")


class DownloadError(RuntimeError):
    """A file could not be downloaded; the message names its address, the reason and what to do."""


def licence_summary(name: str) -> str:
    """The licence of a published file, for users who must accept it."""
    layout = _layout(name)
    return (
        f"{name} ({layout.title}) is the work of its authors, not of this project.\n"
        f"Licence: {layout.licence}.\n"
        f"This is a summary. What counts is the licence that the authors publish: {layout.page}"
    )


def download_published(
    name: str, output_dir: str | os.PathLike, base_url: str | None = None, sha256: str | None = None
) -> Path:
    """Download a published file, whole or not at all.

    If ``huggingface_hub`` is installed, it downloads files of the Hugging Face Hub and continues interrupted downloads.

    Args:
        name: one of the names in docs/how-to/published_weights.md.
        output_dir: folder of the file; a folder in ``name`` is created in it.
        base_url: address of the file's folder on another server; None: the authors' address.
        sha256: hexadecimal digest that the file must have.

    Returns:
        The file's path; a file that is already there is not downloaded again.

    Raises:
        DownloadError: an unknown name, a file that cannot be downloaded or written, or another digest than ``sha256``.
    """
    address = _layout(name).files[name]
    path = Path(output_dir) / name
    downloaded = not path.is_file()
    if downloaded:
        _download(path, address.rpartition("/")[0] if base_url is None else base_url.rstrip("/"))
    digest = file_sha256(path)
    if sha256 is not None and digest != str(sha256).lower():
        consequence = "It was there before and is kept: move it away to have it downloaded."
        if downloaded:
            path.unlink()
            consequence = "It was removed: another version of the file, or damaged on the way."
        raise DownloadError(f"{path}: SHA-256 is {digest}, expected {str(sha256).lower()}. {consequence}")
    known = "" if downloaded else " is already there"
    logger.info("%s%s: %d bytes, SHA-256 %s", path, known, path.stat().st_size, digest)
    return path


def _layout(name: str) -> Layout:
    if name not in FILES:
        raise DownloadError(f"{name}: there is no published file with this name. Choose from {', '.join(FILES)}.")
    return FILES[name]


def _download(path: Path, base_url: str) -> None:
    address = HUB_ADDRESS.fullmatch(base_url)
    hub, available = optional_import("huggingface_hub")
    try:
        if address and available:  # the files are public: the user's token is not sent
            hub.hf_hub_download(filename=path.name, local_dir=path.parent, token=False, **address.groupdict())
        else:
            with whole_file(path) as unfinished:
                urllib.request.urlretrieve(f"{base_url}/{path.name}", unfinished)
    except Exception as error:  # huggingface_hub also raises errors of its HTTP client
        reason = " ".join(str(causes(error)[-1]).split())
        raise DownloadError(
            f"{base_url}/{path.name}: could not be downloaded to {path.parent} ({reason}). Check the internet connection "
            "and the disk space. Check in a browser that the file still exists; if it has moved, give its new location as base_url."
        ) from error
