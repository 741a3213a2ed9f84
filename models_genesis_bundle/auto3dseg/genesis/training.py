"""The training of a generated algorithm: ``configs/finetune_segmentation.yaml`` with the algorithm's settings."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.config import fileConfig
from pathlib import Path
from typing import Any

import monai.bundle
from models_genesis_bundle.auto3dseg.genesis.settings import bundle_config, training_settings
from models_genesis_bundle.engines import is_main_process, read_metrics
from models_genesis_bundle.files import whole_file
from monai.bundle import ConfigParser

__all__ = ["train", "write_progress"]


def train(config_file: str | Sequence[str], **train_params: Any) -> None:
    """Fine-tune, and write the score for Auto3DSeg.

    In the processes of ``torchrun`` the GPUs train together. The log is appended to ``training.log`` in the algorithm's
    folder, since AutoRunner shows nothing of it.

    Args:
        config_file: the algorithm's configurations, a list or joined by commas: ``hyper_parameters.yaml`` and any other
            overlay of ``configs/finetune_segmentation.yaml`` next to it, merged in this order.
        train_params: see `training_settings`.

    Raises:
        FileNotFoundError: the bundle's configurations are missing.
        ValueError: no validation had a score, or a value that a setting cannot have.
    """
    own = config_file.split(",") if isinstance(config_file, str) else list(config_file)
    parser = ConfigParser(ConfigParser.load_config_files(own))
    folder, bundle, output_dir = (
        parser.get_parsed_content(name) for name in ("bundle_root", "genesis_bundle", "ckpt_path")
    )
    names = ["finetune_segmentation"]
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        names.append("multi_gpu")
    files = [*(bundle_config(bundle, name) for name in names), *own]
    with _logged(Path(folder) / "training.log", Path(files[0]).with_name("logging.conf")):
        monai.bundle.run("training", config_file=files, logging_file=False, **training_settings(train_params, files))
    if is_main_process():
        write_progress(output_dir)


@contextmanager
def _logged(path: Path, logging_file: Path) -> Iterator[None]:
    """Log as a bundle does and, on the main process, to a file as well."""
    fileConfig(logging_file, disable_existing_loggers=False)
    if not is_main_process():
        yield
        return
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except BaseException:
        logging.getLogger(__name__).exception("The training ended early.")
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def write_progress(output_dir: str | os.PathLike) -> Path:
    """Write ``progress.yaml`` from ``metrics.csv``: an entry for each validation, the last with the best score of all.

    Raises:
        ValueError: no validation had a score.
    """
    metrics_path = Path(output_dir) / "metrics.csv"
    scores = [(int(line["epoch"]), line.get("val_dice", math.nan)) for line in read_metrics(metrics_path)]
    validated = [(epoch, score) for epoch, score in scores if not math.isnan(score)]
    if not validated:
        raise ValueError(
            f"{metrics_path}: no epoch has a val_dice; validate at least once (val_interval), on scans with foreground."
        )
    progress: list[dict[str, Any]] = []
    best, best_epoch = -1.0, 0
    for epoch, score in validated:
        if score > best:
            best, best_epoch = score, epoch
        entry = {"epoch": epoch, "avg_dice_score": score}
        progress.append({**entry, "best_avg_dice_score": best, "best_avg_dice_score_epoch": best_epoch})
    path = Path(output_dir) / "progress.yaml"
    with whole_file(path) as unfinished:
        ConfigParser.export_config_file(progress, str(unfinished), fmt="yaml", sort_keys=False)
    return path
