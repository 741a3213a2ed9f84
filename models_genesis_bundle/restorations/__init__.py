"""Restorations by weight files, as pictures and errors on one page."""

from models_genesis_bundle.restorations.compare import compare_restorations

__all__ = ["compare_restorations"]
