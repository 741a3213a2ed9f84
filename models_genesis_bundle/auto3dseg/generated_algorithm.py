"""The algorithms that Auto3DSeg has generated in a work folder, and their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models_genesis_bundle.files import whole_file
from monai.bundle import ConfigParser

__all__ = ["Auto3DSegError", "GeneratedAlgorithm", "generated_algorithms"]

SETTINGS_FILE = Path("configs/hyper_parameters.yaml")


class Auto3DSegError(RuntimeError):
    """An algorithm is missing or cannot be used as asked; the message names it and says what to do."""


@dataclass(frozen=True)
class GeneratedAlgorithm:
    """One algorithm for one fold.

    Attributes:
        folder: holds ``configs/`` and ``scripts/``; its name is ``<algorithm>_<fold>``.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name, as in ``AutoRunner``'s history."""
        return self.folder.name

    @property
    def settings_path(self) -> Path:
        """The file of the algorithm's settings."""
        return self.folder / SETTINGS_FILE

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All files in ``configs/`` merged, references not resolved, as the algorithm's scripts read them."""
        return ConfigParser.load_config_files(sorted((self.folder / "configs").glob("*.yaml")))

    def get(self, key: str) -> Any:
        """A setting; ``::`` goes into a section. None when there is no such key."""
        return ConfigParser(self.settings).get(key)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set keys that ``hyper_parameters.yaml`` has, and keep the rest of the file; it is replaced atomically.

        Args:
            changes: new values by key, ``::`` goes into a section.
        """
        parser = ConfigParser(ConfigParser.load_config_file(self.settings_path))
        for key, value in changes.items():
            parser[key] = value
        with whole_file(self.settings_path) as unfinished:
            ConfigParser.export_config_file(
                parser.config, unfinished, fmt="yaml", default_flow_style=None, sort_keys=False
            )


def generated_algorithms(work_dir: str | os.PathLike, algos: Sequence[str] = ()) -> list[GeneratedAlgorithm]:
    """Find the algorithms in the folders of ``AutoRunner``'s work folder, by name.

    Args:
        work_dir: the folder.
        algos: names of algorithms (``segresnet``) or of folders (``segresnet_0``); none: all.

    Raises:
        Auto3DSegError: when there are none, or a name is unknown.
    """
    found = [GeneratedAlgorithm(path.parent.parent) for path in sorted(Path(work_dir).glob(f"*/{SETTINGS_FILE}"))]
    if not found:
        raise Auto3DSegError(
            f"{work_dir}: expected folders with a {SETTINGS_FILE}, found none. Generate the algorithms first: "
            f"python -m monai.apps.auto3dseg AutoRunner run --work_dir {work_dir} --input … --train False --ensemble False"
        )
    names = {word: None for algorithm in found for word in (algorithm.name.split("_")[0], algorithm.name)}
    if unknown := [name for name in algos if name not in names]:
        raise Auto3DSegError(f"algos: {work_dir} has {', '.join(names)}, not {', '.join(unknown)}.")
    return [a for a in found if not algos or a.name in algos or a.name.split("_")[0] in algos]
