"""The place of these functions in version 0.1.0, kept for code that imports them from here."""

from models_genesis_bundle.data.datalists.find_scans import find_scans, is_dicom_folder
from models_genesis_bundle.data.scans.files import scan_stem, scan_suffix

__all__ = ["find_scans", "is_dicom_folder", "scan_stem", "scan_suffix"]
