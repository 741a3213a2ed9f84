"""The present places of settings that used to have other names."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["RENAMED"]

# By component, the settings that stood at the top of the configuration and have kept their names.
_MOVED: Mapping[str, tuple[str, ...]] = {
    "cube_sampler": ("small_scans",),
    "find_lists": ("label_fraction_seed",),
    "training_cubes": ("label_fraction_seed",),
    "labelled_preprocessing": ("ignore_label_affine", "label_map"),
    "optimizer": ("momentum", "weight_decay"),
    "parameters": ("encoder_lr_factor",),
    "plan": ("features", "training_cubes"),
    "plan_folder": ("examples", "training_config"),
    "report": ("caliper", "confidence", "number_of_lesions", "number_of_scans", "resamples", "tolerance_mm"),
    "scan_preprocessing": ("intensity", "orientation", "spacing"),
    "sliding_window": ("sw_batch_size",),
    "split": (
        *("class_key", "image_pattern", "label_pattern", "layout"),
        *("patient_regex", "split_file", "test_fraction", "validation_fraction"),
    ),
    "fingerprint": ("layout", "patient_regex", "sample_size", "validation_fraction"),
    "starting_point": ("keep_weight_norms", "key_map", "require"),
    "train::trainer": ("compile",),
    "volumes": ("scheduler",),
}
_MOVED_NAMES = sorted({name for names in _MOVED.values() for name in names})

# The places of each former name; of several, the one counts that the configuration has.
RENAMED: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(f"{part}::{name}" for part, names in _MOVED.items() if name in names) for name in _MOVED_NAMES},
    "affine_prob": ("augmentation::affine::prob",),
    "cross_entropy_weight": ("loss::lambda_ce",),
    "cube_margin": ("cube_sampler::margin",),
    "cube_rule": ("cube_sampler::rule",),
    "cubes": ("training_cubes::draw",),
    "ema_momentum": ("ema::momentum",),
    "evaluated_negatives_per_scan": ("items::max_per_scan",),
    "extraction_workers": ("volumes::num_workers",),
    "flip_axes": ("deformations::flip::axes",),
    "flip_prob": ("deformations::flip::prob",),
    "foreground_share": ("patches::pos",),
    "inner_painting_rate": ("deformations::painting::weights",),
    "intensity_change": ("augmentation::contrast::factors", "augmentation::brightness::offsets"),
    "intensity_prob": ("augmentation::contrast::prob", "augmentation::brightness::prob"),
    "lr_factor": ("lr_scheduler::factor",),
    "lr_patience": ("lr_scheduler::patience",),
    "lr_power": ("lr_scheduler::power",),
    "lr_step": ("lr_scheduler::step_size",),
    "min_learning_rate": ("lr_scheduler::min_lr",),
    "noise_prob": ("augmentation::noise::prob",),
    "noise_std": ("augmentation::noise::std",),
    "nonlinear_prob": ("deformations::nonlinear::prob",),
    "num_phantoms": ("source::count",),
    "panel_cases": ("panels::num_cases",),
    "panel_cubes": ("panels::num_cubes",),
    "patches_per_scan": ("patches::num_samples",),
    "preparation_workers": ("volumes::num_workers",),
    "reading_workers": ("fingerprint::num_workers",),
    "rotation": ("augmentation::affine::rotate_range",),
    "samples_per_epoch": ("train::dataloader::sampler::num_samples",),
    "scan_dims": ("fingerprint::spatial_dims",),
    "scan_source": ("source",),
    "shuffle_prob": ("deformations::shuffle::prob",),
    "shuffle_windows": ("deformations::shuffle::num_windows",),
    "speed_seconds": ("plan_folder::seconds",),
    "split_seed": ("split::seed", "fingerprint::split_seed"),
    "sw_overlap": ("sliding_window::overlap",),
    "transfer_parts": ("starting_point::parts",),
    "val_batch_size": ("validate::dataloader::batch_size",),
    "zoom": ("augmentation::affine::scale_range",),
}
