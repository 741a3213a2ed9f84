"""Type, range and unit of the settings of the configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from models_genesis_bundle.metrics import require_label_names
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = ["SETTINGS", "Kind", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """The values of a setting.

    Args:
        type: for pydantic, which checks it strictly: neither ``"3"`` nor ``True`` is a number.
        expected: the same in words, with the unit.
    """

    type: Any
    expected: str

    def accepts(self, value: Any) -> bool:
        """Whether the setting may have the value."""
        try:
            TypeAdapter(self.type, config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
        except ValidationError:
            return False
        return True

    @property
    def takes_text(self) -> bool:
        """Whether the setting may be any text."""
        return self.accepts("any text")

    def or_null(self) -> Kind:
        """These values, or null."""
        return Kind(self.type | None, f"{self.expected}, or null")


def _number(
    expected: str,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Kind:
    return Kind(Annotated[float, Field(gt=above, ge=least, le=most, lt=below, allow_inf_nan=False)], expected)


def _whole(of: str, least: int = 1) -> Kind:
    return Kind(Annotated[int, Field(ge=least)], f"a whole number{of and f' of {of}'}, {least} or more")


def _one_of(*names: str) -> Kind:
    return Kind(Literal[names], f"one of {', '.join(names)}")


def _that(condition: Callable[[Any], bool]) -> AfterValidator:
    """A validator of values that fulfil a condition."""

    def checked(value: Any) -> Any:
        if not condition(value):
            raise ValueError
        return value

    return AfterValidator(checked)


def _are_label_names(names: Sequence[str]) -> bool:
    require_label_names(names)
    return True


def _is_device(name: str) -> bool:
    try:
        return bool(torch.device(name))
    except RuntimeError:
        return False


_Text = Annotated[str, Field(min_length=1)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Side = Annotated[int, Field(ge=1)]
_Margin = Annotated[int, Field(ge=0)]

PATH = Kind(_Text | Path, "a path")
TEXT = Kind(_Text, "a text")
DEVICE = Kind(torch.device | Annotated[str, _that(_is_device)], "a device, such as cpu, cuda or cuda:1")
PATTERN = Kind(_Text, "a regular expression").or_null()
SHARE = _number("a share or probability, 0 to 1", least=0, most=1)
SEED = _whole("", 0)
WORKERS = _whole("processes", 0)
WORKERS_OR_AUTO = Kind(Literal["auto"] | Annotated[int, Field(ge=0)], "a whole number of processes, 0 or more, or auto")
EPOCHS = _whole("epochs")
SIDES = Kind(
    Annotated[Sequence[_Side], Field(min_length=2, max_length=3)], "two or three sides in voxels, such as [64, 64, 32]"
)
NAMES = Kind(
    Annotated[Sequence[str], _that(_are_label_names)],
    "a list of different names, none of them 'mean', such as \"['liver', 'tumour']\"",
)
PARTS = Kind(Sequence[str] | str, "a list of parts of the network, such as [encoder], or all")
WIDTHS = Kind(Annotated[Sequence[_Side], Field(min_length=2)], "channels by level, such as [16, 32, 64, 128]")
NOT_NEGATIVE = _number("a number, 0 or more", least=0)
_Fraction = Annotated[float, Field(allow_inf_nan=False), _that(lambda value: value < 1 or float(value).is_integer())]

# By place in a configuration; the first pattern that fits counts.
SETTINGS: Mapping[str, Kind] = {
    # Where
    **dict.fromkeys(
        ("bundle_root", "output_dir", "ckpt_dir", "ckpt_path", "best_ckpt_path", "cache_dir", "engine_path"), PATH
    ),
    "dataset_dir": PATH.or_null(),
    "candidates_file": PATH.or_null(),
    "device": DEVICE,
    "sliding_window::device": DEVICE.or_null(),
    "by_window::device": DEVICE.or_null(),
    # The settings of most runs
    "initial_weights": Kind(_Text | Path | None, "a path, or none"),
    "freeze": PARTS,
    "label_names": NAMES,
    "num_classes": _whole("classes", 2),
    "class_names": NAMES.or_null(),
    "positive_class": _whole("", 0),
    "scan_dims": Kind(Literal[2, 3], "3 or 2 axes"),
    "patch_size": SIDES,
    "cube_size": SIDES,
    "cubes_per_scan": _whole("cubes"),
    "painting_prob": SHARE,
    "flip_prob": SHARE,
    "seed": SEED,
    "batch_size": _whole("items"),
    "learning_rate": NOT_NEGATIVE,
    "background_weight": NOT_NEGATIVE,
    "label_fraction": _number("a share, above 0 and up to 1", above=0, most=1),
    "shots": _whole("patients").or_null(),
    "max_negatives_per_scan": _whole("candidates").or_null(),
    "balance": _one_of("sampler", "loss", "none"),
    "select_by": _one_of("auc", "loss"),
    **dict.fromkeys(("max_epochs", "warmup_epochs"), EPOCHS),
    **dict.fromkeys(("val_interval", "save_interval", "panel_interval", "curves_interval"), EPOCHS),
    "patience": Kind(Annotated[float, Field(ge=1)], "a number of epochs, 1 or more, or .inf"),
    "max_gradient_norm": _number("a number, 0 or more; 0: no clipping", least=0),
    "num_workers": WORKERS_OR_AUTO,
    "workers::num_workers": WORKERS_OR_AUTO,
    "on_unreadable": _one_of("skip", "raise"),
    "precision": _one_of("auto", "float32", "bfloat16", "float16"),
    "in_channels": _whole("channels"),
    "out_channels": _whole("channels"),
    "output_activation": Kind(_Text | Sequence[Any] | None, "an activation, such as sigmoid, or null"),
    "section": _one_of("training", "validation", "test"),
    "threshold": SHARE.or_null(),
    "covariate_key": TEXT.or_null(),
    "overlap": _number("a share, 0 or more and below 1", least=0, below=1),
    "sw_batch_size": _whole("windows"),
    "places": _one_of("scan", "grid", "centre", "points"),
    "stage": Kind(Annotated[int, Field(ge=1)] | None, "a number, 1 for the finest stage, or null for the deepest"),
    "pooling": _one_of("mean", "max"),
    "scratch": Kind(bool, "true or false"),
    "perturbations": Kind(
        Sequence[Literal["noise", "shift", "flip", "thickness"]], "a list out of noise, shift, flip, thickness"
    ),
    # Data
    "source::count": _whole("phantoms"),
    "split::class_key": TEXT,
    "*::layout": _one_of("auto", "json", "pairs", "folder", "luna16", "class_folders"),
    "split::image_pattern": PATTERN,
    "split::label_pattern": PATTERN,
    "*::patient_regex": PATTERN,
    "split::split_file": PATH.or_null(),
    "split::seed": SEED,
    "fingerprint::split_seed": SEED,
    "*::validation_fraction": Kind(
        Annotated[_Fraction, Field(gt=0)], "a share of the patients, above 0 and below 1, or their number"
    ),
    "split::test_fraction": Kind(
        Annotated[_Fraction, Field(ge=0)], "a share of the patients, 0 or more and below 1, or their number"
    ),
    "*::label_fraction_seed": SEED,
    "scan_preprocessing::intensity": Kind(
        Literal["window", "percentile", "zscore"] | Mapping[str, Any] | None,
        "window, percentile, zscore, an IntensityScaling, or null",
    ),
    "scan_preprocessing::spacing": Kind(
        _Positive | Annotated[Sequence[_Positive], Field(min_length=2, max_length=3)] | Literal["scan"] | None,
        "millimetres above 0, one number or one for each axis, scan, or null",
    ),
    "scan_preprocessing::orientation": TEXT.or_null(),
    "scan_preprocessing::channels": Kind(
        _Side
        | Annotated[
            Sequence[_Text],
            Field(min_length=1),
            _that(lambda names: len({name.lower() for name in names}) == len(names)),
        ]
        | None,
        "a number of channels, 1 or more, a list of different names, such as \"['flair', 't1']\", or null",
    ),
    "labelled_preprocessing::label_map": Kind(
        Mapping[int, int] | None, "which label becomes which, such as {2: 1}, or null"
    ),
    "prepared_scans::cache_rate": SHARE,
    "volumes::scheduler": TEXT.or_null(),
    "items::max_per_scan": _whole("candidates").or_null(),
    "fingerprint::spatial_dims": Kind(Literal[2, 3] | None, "3 or 2 axes, or null"),
    "fingerprint::sample_size": _whole("scans"),
    # Cubes, patches, and what is done to them
    "cube_sampler::margin": Kind(
        _Margin | Annotated[Sequence[_Margin], Field(min_length=2, max_length=3)],
        "voxels, 0 or more, one number or one for each axis",
    ),
    "cube_sampler::small_scans": _one_of("pad", "skip"),
    "*_cubes::draw": _one_of("fresh", "fixed"),
    "training_cubes::rotation": _number("degrees, 0 to 180", least=0, most=180),
    "training_cubes::zoom": Kind(
        Annotated[Sequence[_Positive], Field(min_length=2, max_length=2), _that(lambda ends: ends[0] <= ends[1])],
        "smallest and largest magnification, such as [0.8, 1.25]",
    ),
    "*::prob": SHARE,
    "deformations::flip::axes": Kind(Sequence[Literal[0, 1, 2] | None] | None, "a list of axes, 0 to 2, or null"),
    "deformations::shuffle::num_windows": _whole("windows"),
    "deformations::painting::weights": Kind(
        Annotated[Sequence[_NotNegative], Field(min_length=2, max_length=2), _that(lambda shares: sum(shares) > 0)],
        "shares of in-painting and out-painting, such as [0.2, 0.8]",
    ),
    "augmentation::affine::rotate_range": Kind(
        Sequence[_NotNegative], "radians for each axis, such as [0.26, 0.26, 0.26]"
    ),
    "augmentation::affine::scale_range": Kind(Sequence[_NotNegative], "shares for each axis, such as [0.1, 0.1, 0.1]"),
    "augmentation::contrast::factors": _number("a share of the range, 0 or more", least=0),
    "augmentation::*::offsets": NOT_NEGATIVE,
    "augmentation::*::std": NOT_NEGATIVE,
    "patches::num_samples": _whole("patches"),
    "patches::pos": SHARE,
    "perturber::noise": SHARE,
    "perturber::shift": Kind(int, "a whole number of voxels"),
    "perturber::slices": _whole("slices"),
    # Network and optimisation
    "network_def::features": WIDTHS,
    "network::parts": Kind(Sequence[_Text] | None, "names of the network's modules, such as [conv_0, down_1], or null"),
    "starting_point::parts": PARTS,
    "starting_point::require": PARTS,
    "starting_point::key_map": Kind(
        Mapping[str, str] | None, "beginnings of keys, such as {swinViT.: encoder.}, or null"
    ),
    "foreground_prior::probability": _number("a probability, above 0 and below 1", above=0, below=1).or_null(),
    "parameters::layer_decay": _number("a factor, above 0 and up to 1", above=0, most=1),
    "parameters::encoder_lr_factor": NOT_NEGATIVE,
    "optimizer::weight_decay": NOT_NEGATIVE,
    "optimizer::momentum": _number("a number, 0 or more and below 1", least=0, below=1),
    "ema::momentum": _number("a share, above 0 and below 1", above=0, below=1),
    "loss::lambda_ce": NOT_NEGATIVE,
    "lr_scheduler::step_size": EPOCHS,
    "lr_scheduler::warmup_epochs": EPOCHS,
    "lr_scheduler::gamma": _number("a factor, above 0 and up to 1", above=0, most=1),
    "lr_scheduler::factor": _number("a factor, above 0 and below 1", above=0, below=1),
    "lr_scheduler::patience": _whole("validations", 0),
    "lr_scheduler::min_lr": NOT_NEGATIVE,
    "lr_scheduler::power": _number("a number above 0", above=0),
    # The run
    "*::num_workers": WORKERS,
    "*::batch_size": _whole("items"),
    "train::dataloader::sampler::num_samples": _whole("cubes").or_null(),
    "panels::num_cases": _whole("scans"),
    "panels::num_cubes": _whole("cubes"),
    "sliding_window::sw_batch_size": _whole("windows"),
    "sliding_window::overlap": _number("a share, 0 or more and below 1", least=0, below=1),
    "report::tolerance_mm": _number("millimetres above 0", above=0),
    "report::confidence": _number("a probability, above 0 and below 1", above=0, below=1),
    "report::resamples": _whole("samples"),
    "report::caliper": _number("a number above 0, in the covariate's unit", above=0).or_null(),
    "report::number_of_scans": _whole("scans").or_null(),
    "report::number_of_lesions": _whole("lesions").or_null(),
    "plan::training_cubes": _whole("cubes").or_null(),
    "plan::features": WIDTHS.or_null(),
    "plan_folder::examples": _whole("scans", 0),
    "plan_folder::seconds": _number("seconds, 0 or more", least=0),
}


def kind_of(place: str) -> Kind | None:
    """The values of the setting at a place of a configuration; None for a setting that is not declared."""
    return next((kind for pattern, kind in SETTINGS.items() if fnmatchcase(place, pattern)), None)
