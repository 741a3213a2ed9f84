"""Networks that Models Genesis pretrains."""

from models_genesis_bundle.networks.genesis_unet import GenesisUNet

__all__ = ["GenesisUNet"]
