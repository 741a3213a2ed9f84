"""The folder of a plan: datalist, overlay and report."""

from __future__ import annotations

import logging
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import yaml
from models_genesis_bundle.data.datalists.layouts import Sections
from models_genesis_bundle.data.datalists.scan_lists import list_labelled_scans
from models_genesis_bundle.files import move_to_previous, whole_file, write_json
from models_genesis_bundle.planning.device import Device, measure_speed
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.plan import Plan, Setting
from models_genesis_bundle.planning.report import example_scans, summary, write_report

logger = logging.getLogger(__name__)

_WIDTH = 118
_SHARE_OF_FORWARD = 1 / 3  # duration of a validation step, as a fraction of a training step


@dataclass(frozen=True)
class PlanFolder:
    """Writes ``datalist.json``, ``plan.yaml`` and ``report.html``."""

    fingerprint: Fingerprint
    plan: Plan
    output_dir: str  # files of an earlier plan in this folder move to previous/1, previous/2, ...
    training_config: str  # the configuration that the plan is an overlay for
    device: torch.device  # for the measurement of the speed
    examples: int = 3  # number of scans to show in the report
    seconds: float = 10.0  # duration of the speed measurement

    def write(self) -> None:
        """Write the files, and log the plan and the next steps."""
        folder = Path(os.path.normpath(self.output_dir))
        datalist, overlay, page = files = [folder / name for name in ("datalist.json", "plan.yaml", "report.html")]
        labels = label_maps(self.fingerprint.dataset_dir)  # this may be the datalist that moves in the next step
        if earlier := [path for path in files if path.exists()]:
            logger.info("The files of an earlier plan were moved to %s.", move_to_previous(earlier, folder))
        write_datalist(datalist, self.fingerprint, labels)
        reason = "The scans, their patients, and what was left out. Correct the list there."
        scans = Setting("dataset_dir", datalist.as_posix(), reason)
        config_files = [os.path.normpath(self.training_config), overlay.as_posix()]
        command = "python -m monai.bundle run training --config_file \"['" + "','".join(config_files) + "']\""
        about = summary(self.fingerprint)
        write_overlay(overlay, [scans, *self.plan.settings], f"{about}\n  {command}")
        logger.info("%s", about)
        for setting in self.plan.settings:
            logger.info("%s = %s: %s", setting.name, setting.value, setting.reason)
        examples = example_scans(self.fingerprint, self.plan, self.examples)
        cubes = [{"image": example.cube} for example in examples]
        cubes_per_second, waiting = measure_speed(config_files, cubes, self.seconds)
        hours = training_hours(self.plan, self.fingerprint.datalist, cubes_per_second)
        speed = (
            f"Measured on {Device.of(self.device).name}: {cubes_per_second:.3g} cubes per second ({100 * waiting:.0f} % of "
            f"the time waiting for cubes); the training takes about {timedelta(seconds=round(3600 * hours))} (h:min:s)."
        )
        logger.info("%s", speed)
        write_report(page, self.fingerprint, self.plan, examples, speed, config_files, command)
        logger.info("Read %s, then run: %s", page, command)


def training_hours(plan: Plan, datalist: Sections, cubes_per_second: float) -> float:
    """The duration of the planned training, with validation."""
    scans = len(datalist["training"]) + _SHARE_OF_FORWARD * len(datalist["validation"])
    return plan.values["max_epochs"] * plan.values["cubes_per_scan"] * scans / cubes_per_second / 3600


def write_datalist(path: Path, fingerprint: Fingerprint, labels: Mapping[str, str]) -> None:
    """Write the scans of a plan as an MSD-style JSON, with the excluded scans under ``left_out``.

    Paths are relative to the JSON's folder, or absolute if that is on another drive. ``labels`` are the label maps by scan;
    pretraining does not read them.
    """

    def listed(scan: Mapping[str, Any]) -> dict[str, Any]:
        entry = {**scan, "image": _from_folder(scan["image"], path.parent)}
        if scan["image"] in labels:
            entry["label"] = _from_folder(labels[scan["image"]], path.parent)
        return entry

    lists = {**fingerprint.datalist, "left_out": fingerprint.left_out}
    write_json(
        path,
        {
            "description": f"The scans of {fingerprint.dataset_dir} for the pretraining.",
            **{name: [listed(scan) for scan in scans] for name, scans in lists.items() if scans or name == "left_out"},
        },
    )


def label_maps(dataset_dir: str) -> dict[str, str]:
    """The label map of each scan that has one. Nothing is logged, because a plan also uses the scans without a label."""
    datalists = logging.getLogger("models_genesis_bundle.data.datalists")
    level = datalists.level
    datalists.setLevel(logging.ERROR)
    try:
        return {scan["image"]: scan["label"] for scan in list_labelled_scans(dataset_dir)}
    except (FileNotFoundError, ValueError):
        return {}
    finally:
        datalists.setLevel(level)


def _from_folder(path: str, folder: Path) -> str:
    path, start = os.path.abspath(path), os.path.abspath(folder)
    try:
        shared = os.path.commonpath([path, start])
    except ValueError:  # two drives
        return path
    return path if shared == os.path.abspath(os.sep) else Path(os.path.relpath(path, start)).as_posix()


def write_overlay(path: Path, settings: Sequence[Setting], heading: str) -> None:
    """Write settings to a YAML overlay for ``configs/pretrain.yaml``, each with its reason in a comment above it.

    The `heading` becomes the comment at the top of the file.
    """
    parts = [textwrap.indent(heading, "# ")]
    for setting in settings:
        comment = textwrap.fill(
            setting.reason, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        values = setting.value.values() if isinstance(setting.value, Mapping) else [setting.value]
        flow = None if any(isinstance(value, list) for value in values) else False
        text = yaml.safe_dump({setting.name: setting.value}, sort_keys=False, default_flow_style=flow, width=_WIDTH)
        parts.append(f"{comment}\n{text.rstrip()}")
    with whole_file(path) as unfinished:
        unfinished.write_text("\n".join(parts) + "\n", encoding="utf-8", errors="backslashreplace")
