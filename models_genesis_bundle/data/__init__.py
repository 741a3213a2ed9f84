"""Data: scan lists, preprocessing, prepared volumes, training cubes and samplers."""

from models_genesis_bundle.data.datalists.candidates import limit_negatives, read_candidates
from models_genesis_bundle.data.datalists.checks import check_patients_disjoint
from models_genesis_bundle.data.datalists.classification import (
    classification_datalist,
    dataset_class_names,
    unlabelled_datalist,
)
from models_genesis_bundle.data.datalists.evaluated import ListsOfRun, evaluated_items, seen_in_training
from models_genesis_bundle.data.datalists.patients import labelled_record, patient_hashes
from models_genesis_bundle.data.datalists.scan_lists import (
    list_labelled_scans,
    list_scans,
    pretraining_datalist,
    segmentation_datalist,
)
from models_genesis_bundle.data.datalists.splits import take_fraction
from models_genesis_bundle.data.sampling.patch_centres import PatchCentresd
from models_genesis_bundle.data.sampling.readable_scans import ReadableScans, SkippedScansError, SkipUnreadable
from models_genesis_bundle.data.sampling.seeded_dataset import (
    BalancedEpochSampler,
    EpochIndex,
    EpochSampler,
    SeededDataset,
    class_weights,
    training_sampler,
)
from models_genesis_bundle.data.scans.intensity import IntensityScaling, RestoreScanIntensityd, ScaleScanIntensityd
from models_genesis_bundle.data.scans.labelled_preprocessing import LabelledPreprocessing, LoadLabeld
from models_genesis_bundle.data.scans.load_scan import LoadScand
from models_genesis_bundle.data.scans.preprocessing import ScanCompose, ScanPreprocessing, recorded_preprocessing
from models_genesis_bundle.data.scans.raw_scan import ScanError
from models_genesis_bundle.data.volumes.candidate_cubes import CandidateCubes
from models_genesis_bundle.data.volumes.cube_sampler import BodyRule, CubeRule, CubeSampler, LungRule
from models_genesis_bundle.data.volumes.scan_cubes import ScanCubes
from models_genesis_bundle.data.volumes.volumes import Volumes
from models_genesis_bundle.phantoms import classification_source, make_phantoms, phantom_candidates, scans_or_phantoms

__all__ = [
    "BalancedEpochSampler",
    "BodyRule",
    "CandidateCubes",
    "CubeRule",
    "CubeSampler",
    "EpochIndex",
    "EpochSampler",
    "IntensityScaling",
    "LabelledPreprocessing",
    "ListsOfRun",
    "LoadLabeld",
    "LoadScand",
    "LungRule",
    "PatchCentresd",
    "ReadableScans",
    "RestoreScanIntensityd",
    "ScaleScanIntensityd",
    "ScanCompose",
    "ScanCubes",
    "ScanError",
    "ScanPreprocessing",
    "SeededDataset",
    "SkipUnreadable",
    "SkippedScansError",
    "Volumes",
    "check_patients_disjoint",
    "class_weights",
    "classification_datalist",
    "classification_source",
    "dataset_class_names",
    "evaluated_items",
    "labelled_record",
    "limit_negatives",
    "list_labelled_scans",
    "list_scans",
    "make_phantoms",
    "patient_hashes",
    "phantom_candidates",
    "pretraining_datalist",
    "read_candidates",
    "recorded_preprocessing",
    "scans_or_phantoms",
    "seen_in_training",
    "segmentation_datalist",
    "take_fraction",
    "training_sampler",
    "unlabelled_datalist",
]
