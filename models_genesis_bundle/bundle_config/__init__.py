"""The command of a run, its settings and its folder."""

from models_genesis_bundle.bundle_config.check_settings import SettingsError, check_settings
from models_genesis_bundle.bundle_config.genesis_pairs import genesis_pairs
from models_genesis_bundle.bundle_config.resumed_settings import is_below, leaves
from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.bundle_config.run_folder import RunFolder
from models_genesis_bundle.bundle_config.unknown_settings import near_names, unknown_settings
from models_genesis_bundle.bundle_config.usable_device import usable_device

__all__ = [
    "RunCommand",
    "RunFolder",
    "SettingsError",
    "check_settings",
    "genesis_pairs",
    "is_below",
    "leaves",
    "near_names",
    "unknown_settings",
    "usable_device",
]
