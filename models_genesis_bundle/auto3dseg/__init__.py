"""Auto3DSeg from pretrained weights: its stock algorithms initialised, and an algorithm of our own."""

from models_genesis_bundle.auto3dseg.generated_algorithm import Auto3DSegError, GeneratedAlgorithm, generated_algorithms
from models_genesis_bundle.auto3dseg.initialise import Initialisation, initialise

__all__ = ["Auto3DSegError", "GeneratedAlgorithm", "Initialisation", "generated_algorithms", "initialise"]
