"""The files of a plan that users edit: the datalist and the overlay."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.plan import Setting

__all__ = ["write_datalist", "write_overlay"]

_WIDTH = 118


def write_datalist(path: Path, fingerprint: Fingerprint, label_of: Mapping[str, str]) -> None:
    """Write the scans of a plan as an MSD-style JSON, with the excluded scans under ``left_out``.

    Paths are relative to the JSON's folder; a scan on another drive has an absolute path.

    Args:
        path: the JSON.
        fingerprint: names the scans.
        label_of: label map of an image, where there is one. Pretraining does not read it.
    """

    def listed(scan: Mapping[str, Any]) -> dict[str, Any]:
        label = label_of.get(scan["image"])
        labelled = {} if label is None else {"label": _from_folder(label, path.parent)}
        return {"image": _from_folder(scan["image"], path.parent), "patient": scan["patient"], **labelled}

    write_json(
        path,
        {
            "description": f"The scans of {fingerprint.dataset_dir} that pretraining takes.",
            **{name: [listed(scan) for scan in scans] for name, scans in fingerprint.datalist.items() if scans},
            "left_out": [
                {**asdict(scan), "image": _from_folder(scan.image, path.parent)} for scan in fingerprint.left_out
            ],
        },
    )


def _from_folder(path: str, folder: Path) -> str:
    path, start = os.path.abspath(path), os.path.abspath(folder)
    try:
        shared = os.path.commonpath([path, start])
    except ValueError:  # two drives
        return path
    return path if shared == os.path.abspath(os.sep) else Path(os.path.relpath(path, start)).as_posix()


def write_overlay(path: Path, settings: Sequence[Setting], heading: str) -> None:
    """Write settings as an overlay for ``configs/pretrain.yaml``, each with its reason in a comment above it.

    Args:
        path: the YAML.
        settings: in the order to write them.
        heading: the first lines, without ``#``.
    """
    parts = ["\n".join(f"# {line}" for line in heading.splitlines())]
    for setting in settings:
        flow = None if isinstance(setting.value, list) or _holds_lists(setting.value) else False
        comment = textwrap.fill(
            setting.reason, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        value = yaml.safe_dump({setting.name: setting.value}, sort_keys=False, default_flow_style=flow, width=_WIDTH)
        parts.append(f"{comment}\n{value.rstrip()}")
    with whole_file(path) as unfinished:
        unfinished.write_text("\n".join(parts) + "\n", encoding="utf-8", errors="backslashreplace")


def _holds_lists(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(entry, list) for entry in value.values())
