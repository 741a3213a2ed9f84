"""A page that compares weight files by the pictures and errors of their restorations."""

from models_genesis_bundle.restorations.compare import compare_restorations

__all__ = ["compare_restorations"]
