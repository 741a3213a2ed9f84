"""Synthetic chest CTs, for a first run and for tests."""

from models_genesis_bundle.phantoms.phantom_set import (
    classification_source,
    make_phantoms,
    phantom_candidates,
    scans_or_phantoms,
)

__all__ = ["classification_source", "make_phantoms", "phantom_candidates", "scans_or_phantoms"]
