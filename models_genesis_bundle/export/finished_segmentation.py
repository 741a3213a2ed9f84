"""What a weight file says of a fine-tuned segmentation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.weights import read_weights, require_same_network

__all__ = ["ExportError", "FinishedSegmentation"]

RECORDS = ("label_names", "patch_size", "preprocessing")


class ExportError(RuntimeError):
    """A network could not be exported; the message names the file and what to do."""


@dataclass(frozen=True)
class FinishedSegmentation:
    """A weight file of ``finetune_segmentation.yaml``, and the definition of the network that it fits.

    Attributes:
        path: the file.
        content: what it holds.
        network_def: the network as a configuration defines it; it may refer to ``@out_channels``.
    """

    path: Path
    content: dict[str, Any]
    network_def: dict[str, Any]

    @classmethod
    def read(
        cls, ckpt_path: str | os.PathLike, network_config: str | os.PathLike | None = None
    ) -> FinishedSegmentation:
        """Read the file, and check that the definition is of its network.

        Args:
            ckpt_path: the weight file.
            network_config: a configuration with ``network_def``, such as the run's ``config.yaml``, for a network whose
                arguments the file does not tell, as it does those of ``GenesisUNet``.

        Raises:
            ExportError: when the file is of no segmentation, or does not define its network.
            CheckpointError: when it cannot be read, or is of another network than the configuration's.
        """
        path, content = Path(ckpt_path), read_weights(ckpt_path)
        if missing := [name for name in RECORDS if name not in content]:
            raise ExportError(
                f"{path}: no fine-tuned segmentation, it has no {', '.join(missing)}. Give the checkpoints/model.pt of a run "
                "of configs/finetune_segmentation.yaml."
            )
        segmentation = cls(path, content, _network_def(path, content.get("network", {}), network_config))
        parser = ConfigParser({"network_def": segmentation.network_def, "out_channels": segmentation.num_classes})
        require_same_network(parser.get_parsed_content("network_def"), content, path)
        return segmentation

    @property
    def label_names(self) -> list[str]:
        """The classes 1, 2, …; 0 is the background."""
        return list(self.content["label_names"])

    @property
    def num_classes(self) -> int:
        """Channels of the network's output: the classes and the background."""
        return len(self.label_names) + 1

    @property
    def patch_size(self) -> list[int]:
        """Sides of the window, in voxels."""
        return [int(side) for side in self.content["patch_size"]]

    @property
    def preprocessing(self) -> ScanPreprocessing:
        """How the scans were preprocessed."""
        return ScanPreprocessing.from_record(self.content["preprocessing"])


def _network_def(path: Path, record: dict[str, Any], network_config: str | os.PathLike | None) -> dict[str, Any]:
    if network_config is not None:
        definition = ConfigParser.load_config_file(network_config).get("network_def")
        if not isinstance(definition, dict):
            raise ExportError(f"{network_config}: it defines no network: the key 'network_def' is not there.")
        return definition
    if "arguments" not in record:
        raise ExportError(
            f"{path}: it does not tell the arguments of its {record.get('_target_', 'network')}. Give a configuration that "
            "defines it, such as the run's own: `--network_config runs/finetune_segmentation/config.yaml`."
        )
    return {"_target_": record["_target_"], **record["arguments"]}
