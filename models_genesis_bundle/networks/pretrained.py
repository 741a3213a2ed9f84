"""Loading, preprocessing, saving and sharing of networks with pretrained weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

__all__ = ["Pretrained"]


class Pretrained:
    """Methods of networks that have ``config()``. They import `data` and `weights` when called, since these import `networks`.

    Attributes:
        preprocessing_record: preprocessing of the scans that the weights were trained with; None when it is not known.
    """

    preprocessing_record: dict[str, Any] | None = None

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike | None = None, revision: str | None = None, **arguments: Any
    ) -> Self:
        """Build the network of a weight file, with its weights, in evaluation mode.

        Args:
            source: a weight file of this bundle or a published one; a folder with ``model.safetensors`` or
                ``models/model.pt``; a repository of the Hugging Face Hub, as ``owner/name``; None: the weights that ship.
            revision: branch, tag or commit of a repository; None: its newest.
            arguments: of the constructor, which replace the recorded ones, such as ``out_channels=3, output_activation=None``.
                Parts with other shapes are then initialised anew; the encoder must fit.

        Raises:
            CheckpointError: for a source that cannot be used.
            TransferError: when the weights do not fit.

        Examples:
            >>> from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
            >>> GenesisUNet.from_pretrained().config()["features"]
            [16, 32, 64, 128]
            >>> GenesisClassifier.from_pretrained(num_classes=3, hidden=64).config()["features"]
            [16, 32, 64, 128]
        """
        from models_genesis_bundle.weights import load_pretrained

        network, preprocessing = load_pretrained(cls, source, revision, arguments)
        network.preprocessing_record = preprocessing
        return network

    def preprocessing(self) -> Any:
        """The MONAI transforms from ``{"image": path}`` to the network's input, (1, X, Y[, Z]), under ``image``.

        Raises:
            ValueError: when the weights have no record of their preprocessing.
        """
        from models_genesis_bundle.data import ScanPreprocessing

        if self.preprocessing_record is None:
            raise ValueError(
                f"{type(self).__name__}: its weights have no record of their preprocessing. Build a ScanPreprocessing yourself."
            )
        return ScanPreprocessing.from_record(self.preprocessing_record)

    def save_pretrained(self, folder: str | os.PathLike, license: str = "apache-2.0") -> Path:
        """Write ``model.safetensors``, ``config.json`` and a model card, for ``from_pretrained``.

        Args:
            folder: created if missing.
            license: of the weights, by the Hub's identifier, such as ``cc-by-4.0``.
        """
        from models_genesis_bundle.weights import save_pretrained

        return save_pretrained(self, folder, self.preprocessing_record, license=license)

    def push_to_hub(
        self, repo_id: str, license: str = "apache-2.0", private: bool = False, token: str | None = None
    ) -> str:
        """Upload what ``save_pretrained`` writes to the Hugging Face Hub; returns the commit's address.

        Args:
            repo_id: ``owner/name``; created if missing.
            license: of the weights, by the Hub's identifier.
            private: of a new repository.
            token: of the Hub; None: the one stored by ``hf auth login``.
        """
        from models_genesis_bundle.weights import push_to_hub

        return push_to_hub(self, repo_id, self.preprocessing_record, license, private, token)
