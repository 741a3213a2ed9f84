"""The folder that a planning writes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.datalists.json_datalist import find_json_datalist
from models_genesis_bundle.data.datalists.segmentation import list_labelled_scans
from models_genesis_bundle.planning.device import Device
from models_genesis_bundle.planning.files import write_datalist, write_overlay
from models_genesis_bundle.planning.fingerprint import Fingerprint
from models_genesis_bundle.planning.plan import Plan, Setting
from models_genesis_bundle.planning.report import Examples, summary, training_hours, write_report
from models_genesis_bundle.planning.speed import measure_speed

__all__ = ["PlanFolder"]

logger = logging.getLogger(__name__)

_FILES = ("datalist.json", "plan.yaml", "report.html")


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

    def __init__(
        self,
        fingerprint: Fingerprint,
        plan: Plan,
        output_dir: str,
        training_config: str,
        device: torch.device,
        examples: int = 3,
        seconds: float = 10.0,
    ) -> None:
        self.fingerprint = fingerprint
        self.plan = plan
        self.output_dir = Path(os.path.normpath(output_dir))
        self.training_config = os.path.normpath(training_config)
        self.device = device
        self.examples = examples
        self.seconds = seconds

    def write(self) -> None:
        """Write the files, and log the plan and the next steps."""
        self._put_earlier_files_aside()
        datalist, overlay, page = (self.output_dir / name for name in _FILES)
        write_datalist(datalist, self.fingerprint, _labels(self.fingerprint.dataset_dir))
        scans = Setting(
            "dataset_dir", datalist.as_posix(), "The scans, their patients, and what was left out: correct it there."
        )
        config_files = [self.training_config, overlay.as_posix()]
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

    def _put_earlier_files_aside(self) -> None:
        earlier = [self.output_dir / name for name in _FILES if (self.output_dir / name).exists()]
        if not earlier:
            return
        previous = self.output_dir / "previous"
        taken = [int(path.name) for path in previous.glob("*") if path.name.isdigit()]
        aside = previous / str(max(taken, default=0) + 1)
        aside.mkdir(parents=True)
        for path in earlier:
            path.rename(aside / path.name)
        logger.info("The files of an earlier planning were moved to %s.", aside)


def _labels(dataset_dir: str) -> dict[str, str]:
    """The label map of each image that has one; empty if the folder has no layout for segmentation."""
    if (
        os.path.isdir(dataset_dir)
        and not look_below(dataset_dir).labels
        and find_json_datalist(Path(dataset_dir)) is None
    ):
        return {}
    try:
        return {scan["image"]: scan["label"] for scan in list_labelled_scans(dataset_dir)}
    except (FileNotFoundError, ValueError):
        return {}
