"""The algorithm ``genesis`` of Auto3DSeg: fine-tunes ``GenesisUNet`` from the bundle's weights, fold by fold."""

from models_genesis_bundle.auto3dseg.genesis.classes import reason_to_skip
from models_genesis_bundle.auto3dseg.genesis.fold_datalist import fold_datalist, write_fold_datalist
from models_genesis_bundle.auto3dseg.genesis.hyper_parameters import hyper_parameters
from models_genesis_bundle.auto3dseg.genesis.inference import GenesisInferer
from models_genesis_bundle.auto3dseg.genesis.patches import choose_patch_size, voxel_budget
from models_genesis_bundle.auto3dseg.genesis.training import train, write_progress

__all__ = [
    "GenesisInferer",
    "choose_patch_size",
    "fold_datalist",
    "hyper_parameters",
    "reason_to_skip",
    "train",
    "voxel_budget",
    "write_fold_datalist",
    "write_progress",
]
