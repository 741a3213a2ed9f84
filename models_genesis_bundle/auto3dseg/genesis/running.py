"""Training and inference of a generated ``genesis`` algorithm, as Auto3DSeg calls them."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from logging.config import fileConfig
from pathlib import Path
from typing import Any

import monai.bundle
import torch
from models_genesis_bundle.auto3dseg.genesis.settings import bundle_config, training_settings
from models_genesis_bundle.engines import is_main_process, read_metrics
from models_genesis_bundle.files import whole_file
from models_genesis_bundle.weights import read_weights
from monai.bundle import ConfigParser
from monai.data import MetaTensor

logger = logging.getLogger(__name__)

# Settings of training and inference; inference uses those that differ from the defaults of training.
SHARED_SETTINGS = ("precision", "sliding_window::sw_batch_size", "sliding_window::overlap")


def train(config_file: str | Sequence[str], **train_params: Any) -> None:
    """Fine-tune with ``configs/finetune_segmentation.yaml`` and the algorithm's settings, and write the score for Auto3DSeg.

    With ``torchrun`` the GPUs train together. The log is appended to ``training.log`` in the algorithm's folder, because
    AutoRunner does not show it. ``config_file`` is ``hyper_parameters.yaml`` and its other overlays, in the order in which they
    are merged, as a list or joined by commas. For ``train_params`` see `training_settings`.

    Raises:
        FileNotFoundError: the bundle's configurations are missing.
        ValueError: no validation had a score, or a setting has an invalid value.
    """
    own = config_file.split(",") if isinstance(config_file, str) else list(config_file)
    parser = ConfigParser(ConfigParser.load_config_files(own))
    folder, bundle, output_dir = (
        parser.get_parsed_content(name) for name in ("bundle_root", "genesis_bundle", "ckpt_path")
    )
    overlays = ["multi_gpu"] if int(os.environ.get("WORLD_SIZE", "1")) > 1 else []
    files = [*(bundle_config(bundle, name) for name in ("finetune_segmentation", *overlays)), *own]
    fileConfig(Path(files[0]).with_name("logging.conf"), disable_existing_loggers=False)
    if is_main_process():
        handler = logging.FileHandler(Path(folder) / "training.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
        logging.getLogger().addHandler(handler)
    try:
        monai.bundle.run("training", config_file=files, logging_file=False, **training_settings(train_params, files))
    except BaseException:
        logger.exception("The training ended early.")
        raise
    if is_main_process():
        write_progress(output_dir)


def write_progress(output_dir: str | os.PathLike) -> Path:
    """Write the best score of ``metrics.csv`` to ``progress.yaml`` for Auto3DSeg; a ``ValueError`` if no validation had a score."""
    metrics_path = Path(output_dir) / "metrics.csv"
    scores = {int(line["epoch"]): line.get("val_dice", math.nan) for line in read_metrics(metrics_path)}
    validated = [epoch for epoch, score in scores.items() if not math.isnan(score)]
    if not validated:
        raise ValueError(
            f"{metrics_path}: no epoch has a val_dice. Lower val_interval so that a validation runs, and validate on scans with "
            "foreground."
        )
    best = max(validated, key=scores.__getitem__)
    progress = [{"best_avg_dice_score": scores[best], "best_avg_dice_score_epoch": best}]
    path = Path(output_dir) / "progress.yaml"
    with whole_file(path) as unfinished:
        ConfigParser.export_config_file(progress, str(unfinished), fmt="yaml", sort_keys=False)
    return path


class GenesisInferer:
    """Segments scans as ``configs/evaluate.yaml`` does: sliding window, softmax, back to the grid of the file.

    Args:
        config_file: the algorithm's configurations.
        override: settings of ``configs/evaluate.yaml``, such as ``sliding_window::overlap``; ``rank``: number of the GPU in
            an ensemble. Other keys are ignored.

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
        """Probabilities (C, X, Y, Z) of the classes of a scan, the background first, on the grid of the file.

        ``image_file`` is a path, a list with a path for each channel, or a mapping that has one of these under ``image``.

        Raises:
            ScanError: a scan that cannot be read, or whose channels differ from those of the network.
        """
        path = image_file["image"] if isinstance(image_file, Mapping) else image_file
        scan = self.preprocessing({"image": path})
        scan["pred"] = self.inferer(scan["image"][None].to(self.device), self.network)[0]
        return self.postprocessing(scan)["pred"]
