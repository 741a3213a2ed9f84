"""The algorithm as Auto3DSeg generates and trains it."""

from __future__ import annotations

import os
from subprocess import CompletedProcess
from typing import Any

from models_genesis_bundle.auto3dseg.genesis import fold_datalist, hyper_parameters, reason_to_skip
from models_genesis_bundle.files import write_json
from monai.apps.auto3dseg import BundleAlgo
from monai.bundle import ConfigParser

HYPER_PARAMETERS = "hyper_parameters.yaml"


class GenesisAlgo(BundleAlgo):
    """Fine-tunes ``GenesisUNet`` from ``initial_weights`` in Auto3DSeg's input, or from scratch.

    It generates ``configs/hyper_parameters.yaml``, an overlay of the bundle's ``finetune_segmentation.yaml``, and
    ``datalist.json`` with the scans of the fold. The results of the training are in ``model/``.
    """

    def pre_check_skip_algo(self, skip_bundlegen: bool = False, skip_info: str = "") -> tuple[bool, str]:
        """Whether the data cannot be segmented by this algorithm, and why."""
        reason = reason_to_skip(self._source(), _summary(self.data_stats_files))
        return (skip_bundlegen, skip_info) if reason is None else (True, reason)

    def fill_template_config(self, data_stats_filename: str, algo_path: str, **kwargs: Any) -> dict:
        """Write the algorithm's settings and the datalist of its fold; for errors see `hyper_parameters` and `fold_datalist`.

        Args:
            data_stats_filename: YAML of ``DataAnalyzer``.
            algo_path: folder of the algorithm.
            kwargs: ``fold``, the fold for validation (default 0); ``fill_with_datastats=False`` keeps all
                settings that are not given. Other keys are ignored.

        Returns:
            ``{"hyper_parameters.yaml": settings}``.
        """
        source = self._source()
        if kwargs.get("fill_with_datastats", True):
            settings = hyper_parameters(source, _summary(data_stats_filename), kwargs.get("fold", 0), algo_path)
        else:
            earlier = self.fill_records[HYPER_PARAMETERS]
            given = {name: value for name, value in kwargs.items() if name in earlier}
            settings = {**earlier, **given, "bundle_root": os.path.abspath(algo_path)}
        write_json(os.path.join(algo_path, "datalist.json"), fold_datalist(source, settings["fold"]))
        os.makedirs(os.path.join(algo_path, "configs"), exist_ok=True)
        path = os.path.join(algo_path, "configs", HYPER_PARAMETERS)
        ConfigParser.export_config_file(settings, path, fmt="yaml", default_flow_style=None, sort_keys=False)
        return {HYPER_PARAMETERS: settings}

    def train(self, train_params: dict | None = None, device_setting: dict | None = None) -> CompletedProcess:
        """Train as ``BundleAlgo`` does, but keep lists and mappings among the parameters as they are."""
        words = {
            name: repr(value).replace(" ", "") if isinstance(value, list | tuple | dict) else value
            for name, value in (train_params or {}).items()
        }
        return super().train(words, device_setting)

    def _source(self) -> dict[str, Any]:
        return ConfigParser.load_config_file(self.data_list_file)


def _summary(data_stats_file: str) -> dict[str, Any]:
    return ConfigParser.load_config_file(data_stats_file)["stats_summary"]
