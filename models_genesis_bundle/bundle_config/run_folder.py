"""The folder of a run: its lock, earlier runs, and a record of configuration and environment."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from filelock import FileLock, Timeout
from models_genesis_bundle import __version__
from models_genesis_bundle.bundle_config.check_settings import SettingsError
from models_genesis_bundle.bundle_config.resumed_settings import PATHS, require_same_settings
from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.engines.processes import is_main_process, require_process_group
from models_genesis_bundle.files import RUN_MARKER, move_to_previous, remove_unfinished, whole_file, write_json
from monai.bundle import ConfigParser
from yaml import YAMLError

logger = logging.getLogger(__name__)

_LATEST: WeakValueDictionary[tuple[str, int], RunFolder] = WeakValueDictionary()  # by folder and thread


class RunFolder:
    """The output folder of a run, which a file named `RUN_MARKER` distinguishes from a folder of scans.

    Args:
        output_dir: the run's folder; its runs share ``cache/``.
        ckpt_dir: the folder of the run's checkpoints; if it has weights, there is an earlier run. None for a run without
            checkpoints, such as inference: its files stay in the folder until another run replaces them.
        resume: continue the earlier run from its ``last.pt``.
    """

    def __init__(self, output_dir: str, ckpt_dir: str | None = None, resume: bool = False) -> None:
        self.output_dir = Path(output_dir)
        self.ckpt_dir = None if ckpt_dir is None else Path(ckpt_dir)
        self.resume = resume
        self.lock = FileLock(self.output_dir / ".run.lock")

    def begin(self) -> None:
        """Lock the folder, move an earlier run to ``previous/<number>`` unless it is resumed, and write the record.

        If an earlier run of this thread left its lock, for example after an error in a notebook, the lock is released. In a
        distributed run only the main process acts; a second call does nothing.

        Raises:
            RuntimeError: another run is using the folder, or ``torchrun`` has started several runs of it.
            SettingsError: a run is resumed with other settings, see `require_same_settings`; a new run reads data, weights or a
                configuration of the earlier one; or the folder cannot be written.
        """
        require_process_group()
        if not is_main_process() or self.lock.is_locked:
            return
        command, config_path = RunCommand.from_arguments(), self.output_dir / "config.yaml"
        config = None if command is None else command.resolved_config()
        resumes = self.resume and self._holds("last.pt")
        if config is not None and resumes and (recorded := _read(config_path)) is not None:
            require_same_settings(recorded, config, config_path)
        here = os.path.realpath(self.output_dir), threading.get_ident()
        if (earlier := _LATEST.get(here)) is not None:
            earlier.end()
        _LATEST[here] = self
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
            (self.output_dir / RUN_MARKER).touch()
        except Timeout:
            raise RuntimeError(
                f"{self.output_dir}: another run is writing to this folder. Wait until it ends, restart the kernel of a notebook "
                "that an error stopped, or set another `--output_dir`."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"output_dir: expected a folder in which this run can write, found {self.output_dir}: {error.strerror}. "
                "Set another `--output_dir`."
            ) from error
        for folder in {self.output_dir, self.ckpt_dir or self.output_dir}:
            folder.mkdir(parents=True, exist_ok=True)
            for path in remove_unfinished(folder):
                logger.info("Removed %s, which an interrupted run left unfinished.", path)
        if self.ckpt_dir is not None and self._holds("*.pt") and not resumes:
            self._put_earlier_run_aside(self.ckpt_dir, config or {}, () if command is None else command.config_files)
        in_a_training = self.ckpt_dir is None and (self.output_dir / "checkpoints").exists()
        if config is not None and not (in_a_training and config_path.exists()):
            with whole_file(config_path) as unfinished:
                ConfigParser.export_config_file(config, str(unfinished), fmt="yaml", sort_keys=False)
        environment_path = self.output_dir / "environment.json"
        if not ((in_a_training or self.resume) and _read(environment_path) is not None):
            write_json(environment_path, environment())

    def end(self) -> None:
        """Unlock the folder for other runs, in this process or another."""
        self.lock.release()

    def _holds(self, name: str) -> bool:
        return self.ckpt_dir is not None and any(self.ckpt_dir.glob(name))

    def _put_earlier_run_aside(self, ckpt_dir: Path, config: Mapping[str, Any], config_files: Sequence[str]) -> None:
        kept = {"cache", "previous", RUN_MARKER, Path(self.lock.lock_file).name}
        if config.get("save_execute_config") is True:  # MONAI's tracking has written this run's configuration here
            kept.add(max((path.name for path in self.output_dir.glob("config_*.json")), default=""))
        moved = [path for path in self.output_dir.iterdir() if path.name not in kept]
        if ckpt_dir not in moved and self.output_dir not in ckpt_dir.parents:
            moved.append(ckpt_dir)
        _refuse_to_move_inputs(moved, self.output_dir, config, config_files)
        aside = move_to_previous(moved, self.output_dir)
        ckpt_dir.mkdir(parents=True, exist_ok=True)
        logger.info("An earlier run was moved to %s (`--resume true` would have continued it).", aside)


def _refuse_to_move_inputs(
    moved: Sequence[Path], output_dir: Path, config: Mapping[str, Any], config_files: Sequence[str]
) -> None:
    """Refuse a run if its configurations, data, weights or bundle would be moved away with the earlier run."""
    parser, folder = ConfigParser(deepcopy(dict(config))), output_dir.resolve()
    inputs: list[tuple[str, Any]] = [("config_file", file) for file in config_files]
    inputs += [(place, parser.get_parsed_content(place)) for place in (*PATHS, "bundle_root") if place in parser]
    for place, given in inputs:
        if not isinstance(given, str | Path):
            continue
        path = Path(given).resolve()
        if path == folder or any(path.is_relative_to(one.parent.resolve() / one.name) for one in moved):
            raise SettingsError(
                f"{place}: {given} is in {output_dir}, the folder of an earlier run, which a new run moves to its previous/. "
                "Give this run another output_dir, or continue the earlier one with `--resume true`."
            )


def _read(path: Path) -> dict[str, Any] | None:
    """A record of the earlier run; None if it is missing or, with a warning, damaged by a crash."""
    try:
        record = ConfigParser.load_config_file(path)
        if isinstance(record, dict):
            return record
    except FileNotFoundError:
        return None
    except (OSError, ValueError, YAMLError):
        pass
    logger.warning("%s is empty or damaged: it is written again, with the current settings.", path)
    return None


def environment() -> dict[str, object]:
    """Versions, processor and command of this process."""
    return {
        "bundle": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "packages": {package.name: package.version for package in metadata.distributions()},
        "command": sys.argv,
    }
