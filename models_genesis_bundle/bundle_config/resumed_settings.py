"""Comparison of the settings of a resumed run with its earlier ones."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from models_genesis_bundle.bundle_config.check_settings import SettingsError
from models_genesis_bundle.messages import first_of

# Settings that may change, by their places.
MAY_CHANGE = (
    *("bundle_root", "output_dir", "ckpt_dir", "best_ckpt_path", "cache_dir"),  # folders of the run
    *("device", "precision", "num_workers", "workers", "volumes::num_workers", "volumes::scheduler"),  # what computes
    *("prepared_scans::cache_rate", "prepared_scans::num_workers", "train::trainer::compile", "trained_network"),
    *("resume", "max_epochs", "patience", "val_interval", "save_interval"),  # when it ends and saves
    *("panel_interval", "curves_interval", "panels", "train::handlers", "validate::handlers"),  # what it shows
    *("process_group", "imports", "initialize", "finalize", "training", "training_state", "run"),  # its steps
    *("tracking_uri", "experiment_name", "run_name", "save_execute_config"),  # tracking, which adds them
)
PATHS = ("dataset_dir", "candidates_file", "initial_weights", "split::split_file")


def leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a configuration with their places; ``place`` is the place of ``node``.

    A tuple counts as a list; an empty mapping or list is a value.

    Examples:
        >>> list(leaves({"split": {"seed": 0}, "patch_size": [64, 32]}))
        [('split::seed', 0), ('patch_size::0', 64), ('patch_size::1', 32)]
    """
    if isinstance(node, Mapping | list | tuple) and node:
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from leaves(value, f"{place}::{name}" if place else str(name))
    else:
        yield place, list(node) if isinstance(node, tuple) else node


def is_below(place: str, others: Collection[str]) -> bool:
    """Whether a place is one of the others, or inside one of them.

    Examples:
        >>> is_below("split::seed", ["split"])
        True
    """
    return any(place == other or place.startswith(f"{other}::") for other in others)


def require_same_settings(recorded: Mapping[str, Any], now: Mapping[str, Any], record_path: Path) -> None:
    """Refuse to resume a run with settings that would be ignored or would make it another run.

    For example, the restored optimizer ignores a new learning rate. ``recorded`` is the earlier configuration in ``record_path``.

    Raises:
        SettingsError: a setting differs; the message names each such setting.
    """
    before, after = dict(leaves(recorded)), dict(leaves(now))
    changed = [
        f"{place} was {_shown(before, place)}, now {_shown(after, place)}"
        for place in dict.fromkeys([*before, *after])
        if not is_below(place, MAY_CHANGE) and not _same(place, before, after)
    ]
    if changed:
        raise SettingsError(
            f"{record_path}: a resumed run needs the same settings as before. Changed settings: {first_of(changed, 8, '; ')}. "
            "Set the old values, or start a new run with another output_dir. If only a path has changed, correct it in this file."
        )


def _same(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if place not in before or place not in after:
        return False
    one, other = before[place], after[place]
    if place in PATHS and isinstance(one, str) and isinstance(other, str):
        return os.path.realpath(one) == os.path.realpath(other)
    return bool(one == other)


def _shown(leaves: Mapping[str, Any], place: str) -> str:
    return repr(leaves[place]) if place in leaves else "not set"
