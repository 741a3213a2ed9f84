"""Class probabilities of new scans by a trained algorithm, for Auto3DSeg's ensemble."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from models_genesis_bundle.auto3dseg.genesis.settings import bundle_config
from models_genesis_bundle.weights import read_weights
from monai.bundle import ConfigParser
from monai.data import MetaTensor

__all__ = ["GenesisInferer"]

# Of training and inference; where the algorithm's own differ from the training's defaults.
SHARED_SETTINGS = ("precision", "sliding_window::sw_batch_size", "sliding_window::overlap")


class GenesisInferer:
    """Segments scans as ``configs/evaluate.yaml`` does: sliding window, softmax, back to the file's own grid.

    Args:
        config_file: the algorithm's configurations.
        override: settings of ``configs/evaluate.yaml``, such as ``sliding_window::overlap``; ``rank``: of the process in an
            ensemble on several GPUs. Other keys are for the ensemble or for other algorithms.

    Raises:
        FileNotFoundError: the bundle's configurations are missing.
        CheckpointError: the algorithm has not been trained, or its weights cannot be read.
    """

    def __init__(self, config_file: str | os.PathLike | Sequence[str], **override: Any) -> None:
        own = ConfigParser(ConfigParser.load_config_files(config_file))
        weights_path = Path(own.get_parsed_content("ckpt_path")) / "checkpoints" / "model.pt"
        training, parser = (
            ConfigParser(ConfigParser.load_config_file(bundle_config(own["genesis_bundle"], name)))
            for name in ("finetune_segmentation", "evaluate")
        )
        trained = read_weights(weights_path)["network"]
        parser["network_def"] = {**own["network_def"], **trained.get("arguments", {})}
        parser["ckpt_path"] = str(weights_path)
        if torch.cuda.is_available():
            parser["device"] = torch.device("cuda", override.get("rank", 0))
        settings = {name: own[name] for name in SHARED_SETTINGS if name in own and own[name] != training[name]}
        settings |= {name: value for name, value in override.items() if name in parser}
        parser.update(settings)
        parts = ("device", "scan_preprocessing", "network", "inferer", "postprocessing")
        self.device, self.preprocessing, self.network, self.inferer, self.postprocessing = (
            parser.get_parsed_content(name) for name in parts
        )
        self.network.eval()

    @torch.no_grad()
    def infer(self, image_file: str | os.PathLike | Sequence[str] | Mapping[str, Any]) -> MetaTensor:
        """Segment one scan.

        Args:
            image_file: its path, or a list of paths, one for each channel; or a mapping that has this under ``image``.

        Returns:
            Probabilities (C, X, Y, Z) of the classes, the background first, on the file's own grid.

        Raises:
            ScanError: a scan that cannot be read, or of other channels than the network sees.
        """
        path = image_file["image"] if isinstance(image_file, Mapping) else image_file
        scan = self.preprocessing({"image": path})
        scan["pred"] = self.inferer(scan["image"][None].to(self.device), self.network)[0]
        return self.postprocessing(scan)["pred"]
