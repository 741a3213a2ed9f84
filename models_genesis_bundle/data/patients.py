"""The place of `patient_names` in version 0.1.0, kept for code that imports it from here."""

from models_genesis_bundle.data.datalists.patients import patient_names

__all__ = ["patient_names"]
