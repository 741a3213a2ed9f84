"""Networks for pretraining and for the target tasks."""

from models_genesis_bundle.networks.encoder_of import encoder_of
from models_genesis_bundle.networks.finest_output import finest_output
from models_genesis_bundle.networks.fitting_size import require_fitting_size
from models_genesis_bundle.networks.genesis_classifier import GenesisClassifier
from models_genesis_bundle.networks.genesis_unet import GenesisUNet
from models_genesis_bundle.networks.imagenet_weights import ImageNetWeightsError
from models_genesis_bundle.networks.slicewise_unet import SlicewiseGenesisUNet, SlicewiseUNet, by_slice
from models_genesis_bundle.networks.stage_maps import StageMaps

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
    "require_fitting_size",
]
