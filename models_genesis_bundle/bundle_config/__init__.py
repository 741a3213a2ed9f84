"""What reads the bundle's configurations: the command of a run, its settings, its folder."""

from models_genesis_bundle.bundle_config.check_settings import SettingsError, check_settings, unknown_settings
from models_genesis_bundle.bundle_config.genesis_pairs import genesis_pairs
from models_genesis_bundle.bundle_config.leaves import is_below, leaves
from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.bundle_config.run_folder import RunFolder

__all__ = [
    "RunCommand",
    "RunFolder",
    "SettingsError",
    "check_settings",
    "genesis_pairs",
    "is_below",
    "leaves",
    "unknown_settings",
]
