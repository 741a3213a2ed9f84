"""Methods that the bundle's networks share: their arguments and parts, and loading and saving of weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.weights import load_pretrained, push_to_hub, save_pretrained
from monai.transforms import Compose


class Pretrained:
    """Methods for networks with the modules ``encoder``, ``head`` and perhaps ``decoder``."""

    preprocessing_record: dict[str, Any] | None = None  # of the scans that the weights were trained with, if known
    _config: dict[str, Any]

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values: ``type(network)(**network.config())`` builds the same network."""
        return dict(self._config)

    def parts(self) -> dict[str, list[str]]:
        """The keys of the state dict that belong to ``encoder``, ``decoder`` and ``head``."""
        keys = list(self.state_dict())  # type: ignore[attr-defined]
        return {part: [key for key in keys if key.startswith(f"{part}.")] for part in ("encoder", "decoder", "head")}

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike | None = None, revision: str | None = None, **arguments: Any
    ) -> Self:
        """Build the network of a weight file, with its weights, in evaluation mode.

        Args:
            source: a weight file of this bundle or a published one; a folder with ``model.safetensors`` or ``models/model.pt``,
                or of a run; a repository ``owner/name`` of the Hugging Face Hub; None: the weights of this bundle.
            revision: branch, tag or commit of a repository; None: its newest.
            arguments: constructor arguments that replace recorded ones, such as ``out_channels=3, output_activation=None``. The
                encoder must still fit; other parts whose shapes change are initialised randomly.

        Raises:
            CheckpointError: for a source that cannot be used.
            TransferError: when the weights do not fit.

        Examples:
            >>> from models_genesis_bundle.networks import GenesisUNet
            >>> GenesisUNet.from_pretrained().config()["features"]
            [16, 32, 64, 128]
        """
        network, preprocessing = load_pretrained(cls, source, revision, arguments)
        network.preprocessing_record = preprocessing
        return network

    def preprocessing(self) -> Compose:
        """The MONAI transforms from ``{"image": path}`` to the network's input, (1, X, Y[, Z]), under ``image``.

        Raises:
            ValueError: when the weights have no record of their preprocessing.
        """
        if self.preprocessing_record is None:
            raise ValueError(
                f"{type(self).__name__}: its weights have no record of their preprocessing. Create a "
                "ScanPreprocessing with the right settings."
            )
        return ScanPreprocessing.from_record(self.preprocessing_record)

    def save_pretrained(self, folder: str | os.PathLike, license: str = "apache-2.0") -> Path:
        """Write ``model.safetensors``, ``config.json`` and a model card, as ``weights.save_pretrained`` does."""
        return save_pretrained(self, folder, self.preprocessing_record, license=license)

    def push_to_hub(
        self, repo_id: str, license: str = "apache-2.0", private: bool = False, token: str | None = None
    ) -> str:
        """Upload what ``save_pretrained`` writes to the Hugging Face Hub, as ``weights.push_to_hub`` does."""
        return push_to_hub(self, repo_id, self.preprocessing_record, license, private, token)


def plain(value: Any) -> Any:
    """The description of a layer, such as ``("instance", {"affine": True})``, with lists instead of tuples, for JSON."""
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value
