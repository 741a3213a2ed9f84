"""The name under which Auto3DSeg looks for the inference."""

from models_genesis_bundle.auto3dseg.genesis import GenesisInferer as InferClass

__all__ = ["InferClass"]
