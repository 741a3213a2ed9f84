"""The results of an inference; results that exist are not computed again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from models_genesis_bundle import __version__
from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.data.sampling.readable_scans import SkippedScansError, skipped_text
from models_genesis_bundle.data.scans.files import case_path, scan_files, scan_fingerprint, scan_stem
from models_genesis_bundle.files import file_sha256, remove_unfinished, whole_file, write_json
from models_genesis_bundle.reports.case_handler import CaseHandler
from monai.bundle import ConfigParser
from monai.data import NibabelWriter

logger = logging.getLogger(__name__)

_RECORD_NAME = "results.json"
# Folders and speed, which do not change the results. The content of the weight file counts, not its path.
_NOT_OF_THE_RESULT = (
    "bundle_root",
    "ckpt_path",
    "dataset_dir",
    "device",
    "on_unreadable",
    "output_dir",
    "sliding_window::sw_batch_size",
    "sw_batch_size",
)


class ScanResults(CaseHandler):
    """Writes the results of each scan as NIfTI, in the folder structure of the scans, and skips scans with existing results.

    The scan ``a/ct.nii.gz`` gives ``a/ct_restored.nii.gz``; for a scan of several files see `case_path`. List the object among
    the handlers of a `ScanEvaluator` with ``decollate: true``. Files are written atomically. Then ``results.json`` records the
    scan with its size and modification time, and a digest of weights, settings and version. A later run counts a scan as
    ``missing`` unless all of this is the same and its files exist.

    Args:
        scans: ``[{"image": path, …}, …]``, see `list_scans`; with ``channel_files`` if a scan has a file for each channel.
        dataset_dir: folder of the scans, see `result_names`.
        output_dir: folder for the results.
        ckpt_path: the weight file.
        images: for each image to write, its key and the ending of its file, ``{"pred": "restored"}``. It keeps its data type.
        pictures: the endings of other files of each scan: ``["panel"]`` means ``a/ct_panel.png``.

    Attributes:
        scans: the scans, each with its name under ``result``.

    Raises:
        ValueError: two scans would have the same results, or scans are in the output folder.
    """

    def __init__(
        self,
        scans: Sequence[Mapping[str, Any]],
        dataset_dir: str,
        output_dir: str,
        ckpt_path: str,
        images: Mapping[str, str],
        pictures: Sequence[str] = (),
    ) -> None:
        self.output_dir = Path(output_dir)
        self.ckpt_path = ckpt_path
        self.images = dict(images)
        self.pictures = list(pictures)
        paths = [case_path(scan_files(scan)) for scan in scans]
        _refuse_scans_among_results(paths, str(dataset_dir), str(output_dir))
        names = result_names(paths, str(dataset_dir))
        self.scans = [{**scan, "result": name} for scan, name in zip(scans, names, strict=True)]

    @cached_property
    def record(self) -> dict[str, Any]:
        """The content of ``results.json`` by name; empty if it does not exist."""
        try:
            return dict(json.loads((self.output_dir / _RECORD_NAME).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError):
            return {}

    @cached_property
    def settings(self) -> str | None:
        """Digest of weights, settings and version; None outside of ``monai.bundle run``, where settings are unknown."""
        command = RunCommand.from_arguments()
        if command is None:
            return None
        config = ConfigParser(command.resolved_config())
        for place in _NOT_OF_THE_RESULT:
            if place in config:
                config[place] = None
        text = json.dumps([__version__, file_sha256(self.ckpt_path), config.get()], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The new entries of ``results.json`` by name; made before the scans are read."""
        return {
            scan["result"]: {
                "image": os.path.abspath(scan["image"]),
                "state": scan_fingerprint(*scan_files(scan)),
                "settings": self.settings,
            }
            for scan in self.scans
        }

    @cached_property
    def missing(self) -> list[int]:
        """The positions of the scans without results; a ``ValueError`` if existing results of other scans would be replaced."""
        self._refuse_to_replace()
        known = self.settings is not None
        missing = [i for i, scan in enumerate(self.scans) if not (known and self.is_written(scan["result"]))]
        if there := len(self.scans) - len(missing):
            logger.info("%d of %d scans have their results in %s already.", there, len(self.scans), self.output_dir)
        return missing

    def _refuse_to_replace(self) -> None:
        replaced = []
        for name, entry in self.entries.items():
            earlier = str(dict(self.record.get(name, {})).get("image"))
            if os.path.exists(earlier) and not os.path.samefile(earlier, entry["image"]):
                replaced.append(f"{earlier} by that of {entry['image']}")
        if replaced:
            raise ValueError(
                f"output_dir {self.output_dir}: {len(replaced)} results of other scans with the same names would be replaced, for "
                f"example that of {replaced[0]}. Set another output_dir."
            )

    def start(self, engine: Engine) -> None:
        """Remove unfinished files of an interrupted run."""
        super().start(engine)
        for folder in {self.path(name, "").parent for name in self.entries}:
            remove_unfinished(folder)

    def keep(self, case: Mapping[str, Any]) -> None:
        """Write the results of a case, then record it."""
        self.write_case(case)
        self.record[case["result"]] = self.entries[case["result"]]
        write_json(self.output_dir / _RECORD_NAME, self.record)

    def write_case(self, case: Mapping[str, Any]) -> None:
        """Write the files of a case."""
        for key, ending in self.images.items():
            writer = NibabelWriter(output_dtype=None)
            writer.set_data_array(case[key])
            writer.set_metadata(case[key].meta, resample=False)
            with whole_file(self.path(case["result"], f"{ending}.nii.gz")) as unfinished:
                writer.write(unfinished)

    def write(self, engine: Engine) -> None:
        """Log the folder of the results."""
        there = sum(map(self.is_written, self.entries))
        logger.info("%d of %d scans have results: %s", there, len(self.scans), self.output_dir)

    def require_all(self, skipped: Mapping[str, str]) -> None:
        """Raise the `SkippedScansError` of `require_all_scans` if scans were skipped."""
        require_all_scans(skipped, len(self.scans) - len(skipped), self.output_dir)

    def path(self, name: str, ending: str) -> Path:
        """The file of a scan's results with this ending."""
        return self.output_dir / f"{name}_{ending}"

    @property
    def endings(self) -> list[str]:
        """The endings of all files of a scan's results."""
        return [f"{ending}.nii.gz" for ending in self.images.values()] + [f"{name}.png" for name in self.pictures]

    def is_written(self, name: str) -> bool:
        """Whether the results of a scan exist and fit its file, the weights and the settings."""
        files = (self.path(name, ending) for ending in self.endings)
        return self.record.get(name) == self.entries[name] and all(file.is_file() for file in files)


def result_names(images: Sequence[str], dataset_dir: str) -> list[str]:
    """The path of each scan below ``dataset_dir`` without its suffix, ``patient_1/ct``, with ``/`` between folders.

    ``dataset_dir`` is the folder of the scans, a JSON datalist or a single scan. If scans of a datalist are outside of its
    folder, the names are relative to the common folder of all scans.

    Raises:
        ValueError: two scans with the same name; the message names both.
    """
    paths = [os.path.abspath(image) for image in images]
    root = os.path.abspath(dataset_dir)
    if not os.path.isdir(root) or root in paths:
        root = os.path.dirname(root)
    if not all(path.startswith(os.path.join(root, "")) for path in paths):
        root = os.path.commonpath([os.path.dirname(path) for path in paths])
    image_of: dict[str, str] = {}
    for path in paths:
        name = Path(os.path.relpath(path, root)).with_name(scan_stem(path)).as_posix()
        if name in image_of:
            raise ValueError(
                f"{image_of[name]} and {path}: the results of both scans would have the same name, {name}. Rename one of them, "
                "or process them in two runs with different output_dirs."
            )
        image_of[name] = path
    return list(image_of)


def require_all_scans(skipped: Mapping[str, str], used: int, output_dir: str | os.PathLike) -> None:
    """End an inference with a `SkippedScansError` if scans were skipped, so that its exit status shows it."""
    if skipped:
        others = f"\nThe results of the other {used} are in {output_dir}." if used else ""
        raise SkippedScansError(skipped_text(skipped, len(skipped) + used) + others)


def _refuse_scans_among_results(images: Sequence[str], dataset_dir: str, output_dir: str) -> None:
    source = dataset_dir if os.path.isdir(dataset_dir) else os.path.dirname(dataset_dir)
    results, root = (os.path.join(os.path.realpath(folder), "") for folder in (output_dir, source))
    if root != results and root.startswith(results):
        return  # the scans have a folder of their own, like the phantoms of a run
    inside = [image for image in images if os.path.realpath(image).startswith(results)]
    if inside:
        raise ValueError(
            f"output_dir {output_dir}: {len(inside)} of the scans are in this folder, the first is {inside[0]}. A later run "
            "would mistake results for scans. Set another output_dir."
        )
