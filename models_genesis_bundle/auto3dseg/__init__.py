"""Auto3DSeg from pretrained weights: initialised stock algorithms, and the algorithm ``genesis``."""

from models_genesis_bundle.auto3dseg.generated_algorithm import Auto3DSegError, GeneratedAlgorithm, generated_algorithms
from models_genesis_bundle.auto3dseg.initialise import Initialisation, initialise

__all__ = ["Auto3DSegError", "GeneratedAlgorithm", "Initialisation", "generated_algorithms", "initialise"]
