"""Weights: the bundle's file format, written atomically and never loaded in silence."""

from models_genesis_bundle.weights.checkpoint_file import (
    CheckpointError,
    read_checkpoint,
    remove_unfinished,
    write_checkpoint,
)
from models_genesis_bundle.weights.model_file import (
    load_weights,
    network_record,
    read_weights,
    require_same_network,
    unwrap,
    write_weights,
)

__all__ = [
    "CheckpointError",
    "load_weights",
    "network_record",
    "read_checkpoint",
    "read_weights",
    "remove_unfinished",
    "require_same_network",
    "unwrap",
    "write_checkpoint",
    "write_weights",
]
