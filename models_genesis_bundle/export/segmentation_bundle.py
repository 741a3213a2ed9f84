"""A fine-tuned segmentation as a self-contained MONAI bundle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import models_genesis_bundle
import monai.bundle
from models_genesis_bundle.export.finished_segmentation import ExportError, FinishedSegmentation
from models_genesis_bundle.export.segmentation_configs import inference_config, segmentation_metadata, train_config
from models_genesis_bundle.files import write_json
from models_genesis_bundle.weights.model_file import release_weights

__all__ = ["make_segmentation_bundle"]


def make_segmentation_bundle(
    ckpt_path: str | os.PathLike,
    output: str | os.PathLike,
    bundle_root: str | os.PathLike,
    network_config: str | os.PathLike | None = None,
    licence: str = "not stated",
    metadata: Mapping[str, Any] | None = None,
    torchscript: bool = True,
) -> Path:
    """Write a bundle of a fine-tuned segmentation: configurations, metadata, weights, TorchScript, and this package's code.

    ==================================== ==========================================================================
    ``configs/inference.json``           segments scans; preprocessing, inferer and postprocessing are MONAI's own
    ``configs/train.json``               fine-tunes further, from the command line or by MONAI Label
    ``configs/metadata.json``            which channel is which class, what the network sees
    ``models/model.pt``                  the weights
    ``models/model.ts``                  the network in TorchScript, with the first and the third file inside
    ``models_genesis_bundle/``           the code that the configurations name
    ==================================== ==========================================================================

    The folder is written atomically.

    Args:
        ckpt_path: the weight file of a run of ``finetune_segmentation.yaml``.
        output: the folder to write; it must be new or empty.
        bundle_root: folder of this bundle, the source of configurations and licence.
        network_config: see ``FinishedSegmentation.read``.
        licence: of the weights; kept in ``model.pt``.
        metadata: see ``segmentation_metadata``.
        torchscript: whether to write ``model.ts``; TorchScript does not support every network.

    Returns:
        ``output``.

    Raises:
        ExportError: when the file is of no segmentation, ``output`` is not empty, or TorchScript does not support the network.
        CheckpointError: when the file cannot be read.
        ValueError: for a preprocessing that MONAI's transforms do not have, see ``plain_preprocessing``.
    """
    output, own_root = Path(output), Path(bundle_root)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ExportError(f"{output}: the folder is not empty. Name another folder, or remove this one.")
    segmentation = FinishedSegmentation.read(ckpt_path, network_config)
    own_metadata = json.loads((own_root / "configs" / "metadata.json").read_text())
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as unfinished:
        folder = Path(unfinished) / output.name
        configs, weights = folder / "configs", folder / "models" / "model.pt"
        configs.mkdir(parents=True)
        write_json(configs / "inference.json", inference_config(segmentation, own_root / "configs"))
        write_json(configs / "train.json", train_config(segmentation, own_root / "configs"))
        write_json(configs / "metadata.json", segmentation_metadata(segmentation, own_metadata, metadata))
        shutil.copy(own_root / "configs" / "logging.conf", configs)
        shutil.copy(own_root / "LICENSE", folder)
        code = Path(models_genesis_bundle.__file__).parent
        shutil.copytree(code, folder / code.name, ignore=shutil.ignore_patterns("__pycache__"))
        release_weights(segmentation.path, weights, licence)
        if torchscript:
            _write_torchscript(weights, configs)
        folder.replace(output)
    return output


def _write_torchscript(weights: Path, configs: Path) -> None:
    try:
        monai.bundle.ckpt_export(
            net_id="network_def",
            filepath=str(weights.with_suffix(".ts")),
            ckpt_file=str(weights),
            meta_file=str(configs / "metadata.json"),
            config_file=str(configs / "inference.json"),
        )
    except Exception as error:  # torch.jit raises many kinds
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"models/model.ts: the network cannot be written in TorchScript ({type(error).__name__}: {reason}). Leave it out "
            "with `--torchscript False`; MONAI Label and the command line take models/model.pt."
        ) from error
