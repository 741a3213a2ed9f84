"""Compares the settings of a resumed run with those that it was started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.bundle_config.check_settings import SettingsError
from models_genesis_bundle.bundle_config.leaves import is_below, leaves

__all__ = ["require_same_settings"]

# What may change, by place: where a run lies and what computes it, when it ends, what it shows, and its steps.
MAY_CHANGE = (
    "bundle_root",
    "output_dir",
    "ckpt_dir",
    "best_ckpt_path",
    "cache_dir",
    "device",
    "precision",
    "resume",
    "max_epochs",
    "patience",
    "val_interval",
    "save_interval",
    "panel_interval",
    "curves_interval",
    "num_workers",
    "workers",
    "volumes::num_workers",
    "volumes::scheduler",
    "prepared_scans::cache_rate",
    "prepared_scans::num_workers",
    "panels",
    "train::trainer::compile",
    "trained_network",
    "process_group",
    "imports",
    "initialize",
    "finalize",
    "training",
    "training_state",
    "run",
    "train::handlers",
    "validate::handlers",
)
# Of tracking, which adds them.
TRACKING = ("tracking_uri", "experiment_name", "run_name", "save_execute_config")
_PATHS = ("dataset_dir", "candidates_file", "initial_weights", "split::split_file")
_SHOWN = 8


def require_same_settings(recorded: Mapping[str, Any], now: Mapping[str, Any], record_path: Path) -> None:
    """Refuse to go on with a run under settings that would not take effect, or would make another run of it.

    The optimizer's and the schedule's settings are restored with their state, so that another learning rate would be
    ignored; other data or another network make another run.

    Args:
        recorded: the configuration that the run was started with.
        now: the one that it is resumed with.
        record_path: where the former stands.

    Raises:
        SettingsError: naming each setting that differs.
    """
    before, after = dict(leaves(recorded)), dict(leaves(now))
    changed = [
        f"{place} was {_shown(before, place)}, now {_shown(after, place)}"
        for place in dict.fromkeys([*before, *after])
        if not is_below(place, (*MAY_CHANGE, *TRACKING)) and not _same(place, before, after)
    ]
    if changed:
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise SettingsError(
            f"{record_path}: a run goes on with the settings that it was started with: {'; '.join(changed[:_SHOWN])}{more}. "
            "Leave them as they were, or start another run with another output_dir. Where only a path has changed, correct "
            "it in that file."
        )


def _same(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if place not in before or place not in after:
        return False
    one, other = before[place], after[place]
    if place in _PATHS and isinstance(one, str) and isinstance(other, str):
        return os.path.realpath(one) == os.path.realpath(other)
    return bool(one == other)


def _shown(leaves: Mapping[str, Any], place: str) -> str:
    return repr(leaves[place]) if place in leaves else "not there"
