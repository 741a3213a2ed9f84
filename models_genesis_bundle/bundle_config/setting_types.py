"""Type, range and unit of the settings of the configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from models_genesis_bundle.bundle_config.usable_device import usable_device
from models_genesis_bundle.metrics import require_label_names
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError


@dataclass(frozen=True)
class Kind:
    """The values that a setting may have."""

    expected: str  # in words, with the unit
    type: Any  # for pydantic, which checks it strictly: neither "3" nor True is a number

    def accepts(self, value: Any) -> bool:
        """Whether the setting may have the value."""
        try:
            TypeAdapter(self.type, config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
        except ValidationError:
            return False
        return True


def _number(**bounds: Any) -> Any:
    return Annotated[float, Field(allow_inf_nan=False, **bounds)]


def _that(condition: Callable[[Any], bool]) -> AfterValidator:
    """A validator of values for which ``condition`` is true."""

    def checked(value: Any) -> Any:
        if not condition(value):
            raise ValueError
        return value

    return AfterValidator(checked)


def _list_of(type: Any, least: int = 0, most: int | None = None, that: Callable[[Any], bool] = lambda _: True) -> Any:
    return Annotated[Sequence[type], Field(min_length=least, max_length=most), _that(that)]


_TEXT = Annotated[str, Field(min_length=1)]
_COUNT = Annotated[int, Field(ge=1)]
_FROM_0 = Annotated[int, Field(ge=0)]
_POSITIVE = _number(gt=0)
_NOT_NEGATIVE = _number(ge=0)
_FRACTION = Annotated[float, Field(allow_inf_nan=False), _that(lambda value: value < 1 or float(value).is_integer())]
_NAMES = Annotated[Sequence[str], AfterValidator(require_label_names)]
_CHANNEL_NAMES = _list_of(_TEXT, 1, that=lambda names: len({name.lower() for name in names}) == len(names))

# The expected value in words: its type for pydantic, and the places of the settings. * is any text, a final ? "or null".
_TABLE: Mapping[str, tuple[Any, str]] = {
    "a path": (
        _TEXT | Path,
        """bundle_root output_dir ckpt_dir ckpt_path best_ckpt_path cache_dir engine_path dataset_dir?
        candidates_file? split::split_file?""",
    ),
    "a path, or none": (_TEXT | Path | None, "initial_weights"),
    "text": (_TEXT, "split::class_key covariate_key? scan_preprocessing::orientation? volumes::scheduler?"),
    "a regular expression": (_TEXT, "split::image_pattern? split::label_pattern? *::patient_regex?"),
    "a device of this machine, such as cpu, cuda or cuda:1": (
        Annotated[torch.device | str, AfterValidator(usable_device)],
        "device sliding_window::device? by_window::device?",
    ),
    "true or false": (bool, "scratch"),
    "a whole number, 1 or more": (
        _COUNT,
        """max_epochs warmup_epochs lr_scheduler::warmup_epochs lr_scheduler::step_size val_interval save_interval
        panel_interval curves_interval batch_size *::batch_size cubes_per_scan panels::num_cubes
        panels::num_cases train::dataloader::sampler::num_samples? plan::training_cubes? patches::num_samples
        sw_batch_size sliding_window::sw_batch_size deformations::shuffle::num_windows fingerprint::sample_size
        report::number_of_scans? report::number_of_lesions? report::resamples shots? max_negatives_per_scan?
        items::max_per_scan? in_channels out_channels source::count perturber::slices""",
    ),
    "a whole number, 0 or more": (
        _FROM_0,
        "positive_class *::num_workers lr_scheduler::patience plan_folder::examples",
    ),
    "a whole number, 0 to 4294967295": (
        Annotated[int, Field(ge=0, lt=2**32)],
        "seed split::seed fingerprint::split_seed *::label_fraction_seed",
    ),
    "a whole number, 0 or more, or auto": (Literal["auto"] | _FROM_0, "num_workers workers::num_workers"),
    "a whole number, 2 or more": (Annotated[int, Field(ge=2)], "num_classes"),
    "a whole number of voxels": (int, "perturber::shift"),
    "3 or 2 axes": (Literal[2, 3], "scan_dims fingerprint::spatial_dims?"),
    "a number, 1 for the finest stage, or null for the deepest": (_COUNT | None, "stage"),
    "two or three sides in voxels, such as [64, 64, 32]": (_list_of(_COUNT, 2, 3), "patch_size cube_size"),
    "voxels, 0 or more, one number or one for each axis": (_FROM_0 | _list_of(_FROM_0, 2, 3), "cube_sampler::margin"),
    "channels of each level, such as [16, 32, 64, 128]": (_list_of(_COUNT, 2), "network_def::features plan::features?"),
    "a list of axes, 0 to 2": (Sequence[Literal[0, 1, 2] | None], "deformations::flip::axes?"),
    "a fraction or probability, 0 to 1": (
        _number(ge=0, le=1),
        "painting_prob flip_prob *::prob patches::pos prepared_scans::cache_rate perturber::noise threshold?",
    ),
    "a fraction of the patients, above 0 and below 1, or a number of patients": (
        Annotated[_FRACTION, Field(gt=0)],
        "*::validation_fraction",
    ),
    "a fraction of the patients, 0 or more and below 1, or a number of patients": (
        Annotated[_FRACTION, Field(ge=0)],
        "split::test_fraction",
    ),
    "a number above 0 and up to 1": (_number(gt=0, le=1), "label_fraction parameters::layer_decay lr_scheduler::gamma"),
    "a number above 0 and below 1": (
        _number(gt=0, lt=1),
        "ema::momentum report::confidence foreground_prior::probability? lr_scheduler::factor",
    ),
    "a number, 0 or more and below 1": (_number(ge=0, lt=1), "overlap sliding_window::overlap optimizer::momentum"),
    "a number above 0": (_POSITIVE, "lr_scheduler::power"),
    "a number above 0, in the covariate's unit": (_POSITIVE, "report::caliper?"),
    "a number, 0 or more": (
        _NOT_NEGATIVE,
        """learning_rate background_weight parameters::encoder_lr_factor optimizer::weight_decay loss::lambda_ce
        lr_scheduler::min_lr augmentation::*::offsets augmentation::*::std""",
    ),
    "a number, 0 or more; 0: no clipping": (_NOT_NEGATIVE, "max_gradient_norm"),
    "a fraction of the range, 0 or more": (_NOT_NEGATIVE, "augmentation::contrast::factors"),
    "a number of epochs, 1 or more, or .inf": (Annotated[float, Field(ge=1)], "patience"),
    "seconds, 0 or more": (_NOT_NEGATIVE, "plan_folder::seconds"),
    "a number": (
        _number(),
        """scan_preprocessing::intensity::lower? scan_preprocessing::intensity::upper?
        scan_preprocessing::intensity::mean?""",
    ),
    "millimetres above 0": (_POSITIVE, "report::tolerance_mm"),
    "millimetres above 0, one number or one for each axis, scan": (
        _POSITIVE | _list_of(_POSITIVE, 2, 3) | Literal["scan"],
        "scan_preprocessing::spacing?",
    ),
    "degrees, 0 to 180": (_number(ge=0, le=180), "training_cubes::rotation"),
    "radians for each axis, such as [0.26, 0.26, 0.26]": (
        _list_of(_NOT_NEGATIVE),
        "augmentation::affine::rotate_range",
    ),
    "fractions for each axis, such as [0.1, 0.1, 0.1]": (_list_of(_NOT_NEGATIVE), "augmentation::affine::scale_range"),
    "smallest and largest magnification, such as [0.8, 1.25]": (
        _list_of(_POSITIVE, 2, 2, that=lambda ends: ends[0] <= ends[1]),
        "training_cubes::zoom",
    ),
    "weights of in-painting and out-painting, such as [0.2, 0.8]": (
        _list_of(_NOT_NEGATIVE, 2, 2, that=lambda shares: sum(shares) > 0),
        "deformations::painting::weights",
    ),
    "a list of different names, none of them 'mean', such as \"['liver', 'tumour']\"": (
        _NAMES,
        "label_names class_names?",
    ),
    "a list of parts of the network, such as [encoder], or all": (
        Sequence[str] | str,
        "freeze starting_point::parts starting_point::require",
    ),
    "names of the network's modules, such as [conv_0, down_1]": (Sequence[_TEXT], "network::parts?"),
    "prefixes of keys, such as {swinViT.: encoder.}": (Mapping[str, str], "starting_point::key_map?"),
    "new values of labels, such as {2: 1}": (Mapping[int, int], "labelled_preprocessing::label_map?"),
    "the settings of an overlay of the optimizer": (Mapping[str, Any], "plan::optimizer"),
    "an activation, such as sigmoid": (_TEXT | Sequence[Any], "output_activation?"),
    "window, percentile, zscore, an IntensityScaling": (
        Literal["window", "percentile", "zscore"],
        "scan_preprocessing::intensity?",
    ),
    "a number of channels, 1 or more, a list of different names, such as \"['flair', 't1']\"": (
        _COUNT | _CHANNEL_NAMES,
        "scan_preprocessing::channels?",
    ),
    "a list with any of noise, shift, flip, thickness": (
        Sequence[Literal["noise", "shift", "flip", "thickness"]],
        "perturbations",
    ),
    **{
        f"one of {names}": (Literal[tuple(names.split(", "))], places)
        for names, places in (
            ("sampler, loss, none", "balance"),
            ("auc, loss", "select_by"),
            ("skip, raise", "on_unreadable"),
            ("auto, float32, bfloat16, float16", "precision"),
            ("training, validation, test", "section"),
            ("scan, grid, centre, points", "places"),
            ("mean, max", "pooling"),
            ("constant, gaussian", "sliding_window::mode by_window::mode by_slice::mode"),
            ("auto, json, pairs, folder, luna16, class_folders", "*::layout"),
            ("pad, skip", "cube_sampler::small_scans"),
            ("fresh, fixed", "*_cubes::draw"),
        )
    },
}

SETTINGS: Mapping[str, Kind] = {
    place.rstrip("?"): Kind(f"{expected}, or null", type | None) if place.endswith("?") else Kind(expected, type)
    for expected, (type, places) in _TABLE.items()
    for place in places.split()
}


def kind_of(place: str) -> Kind | None:
    """The values of the setting at a place of a configuration; None if the setting is not declared."""
    fitting = (kind for pattern, kind in SETTINGS.items() if fnmatchcase(place, pattern))
    return SETTINGS.get(place) or next(fitting, None)
