"""The algorithm ``genesis`` of Auto3DSeg: fine-tunes ``GenesisUNet`` from the bundle's weights, fold by fold."""

from models_genesis_bundle.auto3dseg.genesis.fold_datalist import fold_datalist
from models_genesis_bundle.auto3dseg.genesis.hyper_parameters import hyper_parameters, reason_to_skip
from models_genesis_bundle.auto3dseg.genesis.inference import GenesisInferer
from models_genesis_bundle.auto3dseg.genesis.training import train

__all__ = ["GenesisInferer", "fold_datalist", "hyper_parameters", "reason_to_skip", "train"]
