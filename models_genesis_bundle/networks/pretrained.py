"""What a network with pretrained weights can do: load, say its preprocessing, be saved and be shared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

__all__ = ["Pretrained"]


class Pretrained:
    """Methods of networks that have ``config()``. The rooms that they need stand above this one, and are imported when called.

    Attributes:
        preprocessing_record: how the scans were read that the weights were trained with; None when it is not known.
    """

    preprocessing_record: dict[str, Any] | None = None

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike | None = None, revision: str | None = None, **arguments: Any
    ) -> Self:
        """The network that weights are of, with these weights, in evaluation mode.

        Args:
            source: a weight file of this bundle or a published one; a folder with ``model.safetensors`` or
                ``models/model.pt``; a repository of the Hugging Face Hub, as ``owner/name``; None: the weights that ship.
            revision: branch, tag or commit of a repository; None: its newest.
            arguments: of the constructor, in place of the recorded ones, such as ``out_channels=3, output_activation=None``.
                Parts of other shapes are then new; the encoder must fit.

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
        """The MONAI transforms from ``{"image": path}`` to what the network takes under ``image``: (1, X, Y[, Z]).

        Raises:
            ValueError: when the weights have no record of it.
        """
        from models_genesis_bundle.data import ScanPreprocessing

        if self.preprocessing_record is None:
            raise ValueError(
                f"{type(self).__name__}: its weights do not say how scans are read. Build a ScanPreprocessing yourself."
            )
        return ScanPreprocessing.from_record(self.preprocessing_record)

    def save_pretrained(self, folder: str | os.PathLike, license: str = "apache-2.0") -> Path:
        """Write ``model.safetensors``, ``config.json`` and a model card, for ``from_pretrained``.

        Args:
            folder: made when it is not there.
            license: of the weights, by the Hub's identifier, such as ``cc-by-4.0``.
        """
        from models_genesis_bundle.weights import save_pretrained

        return save_pretrained(self, folder, self.preprocessing_record, license=license)

    def push_to_hub(
        self, repo_id: str, license: str = "apache-2.0", private: bool = False, token: str | None = None
    ) -> str:
        """Upload what ``save_pretrained`` writes to the Hugging Face Hub; returns the commit's address.

        Args:
            repo_id: ``owner/name``; made when it is not there.
            license: of the weights, by the Hub's identifier.
            private: of a new repository.
            token: of the Hub; None: the one that ``hf auth login`` has stored.
        """
        from models_genesis_bundle.weights import push_to_hub

        return push_to_hub(self, repo_id, self.preprocessing_record, license, private, token)
