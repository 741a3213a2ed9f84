"""Networks for pretraining and for the target tasks."""

from models_genesis_bundle.networks.genesis_classifier import GenesisClassifier
from models_genesis_bundle.networks.genesis_unet import GenesisUNet
from models_genesis_bundle.networks.shapes import finest_output, require_batch_statistics, require_fitting_size
from models_genesis_bundle.networks.slicewise_unet import (
    ImageNetWeightsError,
    SlicewiseGenesisUNet,
    SlicewiseUNet,
    by_slice,
)
from models_genesis_bundle.networks.stage_maps import StageMaps, encoder_of

__all__ = [
    "GenesisClassifier",
    "GenesisUNet",
    "ImageNetWeightsError",
    "SlicewiseGenesisUNet",
    "SlicewiseUNet",
    "StageMaps",
    "by_slice",
    "encoder_of",
    "finest_output",
    "require_batch_statistics",
    "require_fitting_size",
]
