"""Auto3DSeg with pretrained weights: initialisation of stock algorithms, and the algorithm ``genesis``."""

from models_genesis_bundle.auto3dseg.initialise import Auto3DSegError, Initialisation, initialise

__all__ = ["Auto3DSegError", "Initialisation", "initialise"]
