"""Weight files: reading, writing, conversion, and transfers that report every tensor."""

from models_genesis_bundle.weights.checkpoint_file import (
    CheckpointError,
    TargetError,
    read_checkpoint,
    write_checkpoint,
)
from models_genesis_bundle.weights.initial_weights import InitialWeights, set_foreground_prior
from models_genesis_bundle.weights.key_parts import UnknownLayoutError, key_parts, network_parts, select_parts, unwrap
from models_genesis_bundle.weights.model_file import (
    WeightFile,
    load_weights,
    network_record,
    read_weights,
    release_weights,
    require_same_network,
    write_weights,
)
from models_genesis_bundle.weights.pretrained import (
    load_pretrained,
    load_published,
    published_records,
    push_to_hub,
    save_pretrained,
)
from models_genesis_bundle.weights.sources import find_weights, recorded_features
from models_genesis_bundle.weights.targets.convert import TARGETS, convert, write_for
from models_genesis_bundle.weights.transfer import TransferError, fit_input_channels, transfer_weights
from models_genesis_bundle.weights.transfer_report import TensorTransfer, TransferReport
from models_genesis_bundle.weights.weight_norms import LayerSpectrum, layer_spectra, weight_norms_kept

__all__ = [
    "TARGETS",
    "CheckpointError",
    "InitialWeights",
    "LayerSpectrum",
    "TargetError",
    "TensorTransfer",
    "TransferError",
    "TransferReport",
    "UnknownLayoutError",
    "WeightFile",
    "convert",
    "find_weights",
    "fit_input_channels",
    "key_parts",
    "layer_spectra",
    "load_pretrained",
    "load_published",
    "load_weights",
    "network_parts",
    "network_record",
    "published_records",
    "push_to_hub",
    "read_checkpoint",
    "read_weights",
    "recorded_features",
    "release_weights",
    "require_same_network",
    "save_pretrained",
    "select_parts",
    "set_foreground_prior",
    "transfer_weights",
    "unwrap",
    "weight_norms_kept",
    "write_checkpoint",
    "write_for",
    "write_weights",
]
