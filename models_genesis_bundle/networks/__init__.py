"""Networks that Models Genesis pretrains, and those that take over what was learnt."""

from models_genesis_bundle.networks.encoder_of import encoder_of
from models_genesis_bundle.networks.genesis_classifier import GenesisClassifier
from models_genesis_bundle.networks.genesis_unet import GenesisUNet
from models_genesis_bundle.networks.imagenet_weights import ImageNetWeightsError
from models_genesis_bundle.networks.slicewise_unet import SlicewiseUNet

__all__ = ["GenesisClassifier", "GenesisUNet", "ImageNetWeightsError", "SlicewiseUNet", "encoder_of"]
