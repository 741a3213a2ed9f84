"""The folder that a planning writes: datalist, overlay and report."""

from __future__ import annotations

import logging
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.datalists.json_datalist import find_json_datalist
from models_genesis_bundle.data.datalists.scan_lists import list_labelled_scans
from models_genesis_bundle.files import whole_file, write_json
from models_genesis_bundle.planning.device import Device, measure_speed
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.plan import Plan, Setting
from models_genesis_bundle.planning.report import Examples, summary, training_hours, write_report

__all__ = ["PlanFolder", "write_datalist", "write_overlay"]

logger = logging.getLogger(__name__)

_WIDTH = 118
_FILES = ("datalist.json", "plan.yaml", "report.html")


@dataclass(frozen=True)
class PlanFolder:
    """Writes ``datalist.json``, ``plan.yaml`` and ``report.html``.

    Args:
        fingerprint: of the scans.
        plan: the settings for them.
        output_dir: receives the files. Those of an earlier planning move to ``previous/1``, ``previous/2``, ...
        training_config: the configuration that the plan is an overlay for.
        device: for the measurement of the speed.
        examples: scans that are drawn.
        seconds: how long the speed is measured.
    """

    fingerprint: Fingerprint
    plan: Plan
    output_dir: str
    training_config: str
    device: torch.device
    examples: int = 3
    seconds: float = 10.0

    def write(self) -> None:
        """Write the files, and log the plan and the next steps."""
        files = [Path(os.path.normpath(self.output_dir), name) for name in _FILES]
        _put_earlier_files_aside(files)
        datalist, overlay, page = files
        write_datalist(datalist, self.fingerprint, _labels(self.fingerprint.dataset_dir))
        scans = Setting(
            "dataset_dir", datalist.as_posix(), "The scans, their patients, and what was left out: correct it there."
        )
        config_files = [os.path.normpath(self.training_config), overlay.as_posix()]
        words = "python -m monai.bundle run training --config_file \"['" + "','".join(config_files) + "']\""
        about = summary(self.fingerprint)
        write_overlay(overlay, [scans, *self.plan.settings], f"{about}\n  {words}")
        logger.info("%s", about)
        for setting in self.plan.settings:
            logger.info("%s = %s: %s", setting.name, setting.shown, setting.reason)
        examples = Examples.of(self.fingerprint, self.plan, self.examples)
        speed = measure_speed(config_files, examples.cubes, self.seconds)
        name = Device.of(self.device).name
        write_report(page, self.fingerprint, self.plan, examples, speed, name, config_files)
        logger.info(
            "Measured on %s: %.3g cubes per second (%.0f %% of the time waiting for cubes); the training takes about %.2g hours.",
            name,
            speed.cubes_per_second,
            100 * speed.data_wait_fraction,
            training_hours(self.fingerprint, self.plan, speed),
        )
        logger.info("Look at %s, then run: %s", page, words)


def _put_earlier_files_aside(files: Sequence[Path]) -> None:
    earlier = [path for path in files if path.exists()]
    if not earlier:
        return
    previous = files[0].parent / "previous"
    taken = [int(path.name) for path in previous.glob("*") if path.name.isdigit()]
    aside = previous / str(max(taken, default=0) + 1)
    aside.mkdir(parents=True)
    for path in earlier:
        path.rename(aside / path.name)
    logger.info("The files of an earlier planning were moved to %s.", aside)


def _labels(dataset_dir: str) -> dict[str, str]:
    """The label map of each image that has one; empty if the folder has no layout for segmentation."""
    is_folder = os.path.isdir(dataset_dir)
    if is_folder and not look_below(dataset_dir).labels and find_json_datalist(Path(dataset_dir)) is None:
        return {}
    try:
        return {scan["image"]: scan["label"] for scan in list_labelled_scans(dataset_dir)}
    except (FileNotFoundError, ValueError):
        return {}


def write_datalist(path: Path, fingerprint: Fingerprint, label_of: Mapping[str, str]) -> None:
    """Write the scans of a plan as an MSD-style JSON, with the excluded scans under ``left_out``.

    Paths are relative to the JSON's folder; a scan on another drive has an absolute path. Pretraining does not read the label
    maps, which `label_of` gives by image.
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
        parts_of = setting.value.values() if isinstance(setting.value, Mapping) else [setting.value]
        flow = None if any(isinstance(part, list) for part in parts_of) else False
        comment = textwrap.fill(
            setting.reason, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        value = yaml.safe_dump({setting.name: setting.value}, sort_keys=False, default_flow_style=flow, width=_WIDTH)
        parts.append(f"{comment}\n{value.rstrip()}")
    with whole_file(path) as unfinished:
        unfinished.write_text("\n".join(parts) + "\n", encoding="utf-8", errors="backslashreplace")
