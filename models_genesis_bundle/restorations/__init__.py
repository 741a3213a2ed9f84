"""What weight files restore, to look at before they are trusted."""

from models_genesis_bundle.restorations.compare import compare_restorations

__all__ = ["compare_restorations"]
