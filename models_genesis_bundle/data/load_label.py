"""The place of `LoadLabeld` in version 0.1.0, kept for code that imports it from here."""

from models_genesis_bundle.data.scans.load_label import LoadLabeld

__all__ = ["LoadLabeld"]
