"""The algorithm ``genesis`` of Auto3DSeg: fine-tunes ``GenesisUNet`` from the bundle's weights."""

from models_genesis_bundle.auto3dseg.genesis.generation import fold_datalist, hyper_parameters, reason_to_skip
from models_genesis_bundle.auto3dseg.genesis.running import GenesisInferer, train

__all__ = ["GenesisInferer", "fold_datalist", "hyper_parameters", "reason_to_skip", "train"]
