"""From scans on disk to training cubes."""

from models_genesis_bundle.data.balanced_sampler import BalancedEpochSampler, training_sampler
from models_genesis_bundle.data.candidate_cubes import CandidateCubes
from models_genesis_bundle.data.candidates import limit_negatives, read_candidates
from models_genesis_bundle.data.class_weights import class_weights
from models_genesis_bundle.data.classification_datalist import (
    classification_datalist,
    dataset_class_names,
    unlabelled_datalist,
)
from models_genesis_bundle.data.classification_source import classification_source
from models_genesis_bundle.data.cube_rules import BodyRule, CubeRule, LungRule
from models_genesis_bundle.data.cube_sampler import CubeSampler
from models_genesis_bundle.data.cube_store import CubeStore
from models_genesis_bundle.data.cube_store_summary import CubeStoreSummary
from models_genesis_bundle.data.datalist_checks import check_patients_disjoint
from models_genesis_bundle.data.datalists import list_scans, pretraining_datalist
from models_genesis_bundle.data.epoch_sampler import EpochSampler
from models_genesis_bundle.data.genesis_pairs import genesis_pairs
from models_genesis_bundle.data.intensity import IntensityScaling, ScaleScanIntensityd
from models_genesis_bundle.data.label_fraction import take_fraction
from models_genesis_bundle.data.labelled_datalist import list_labelled_scans, segmentation_datalist
from models_genesis_bundle.data.labelled_preprocessing import LabelledPreprocessing
from models_genesis_bundle.data.labelled_record import labelled_record
from models_genesis_bundle.data.load_label import LoadLabeld
from models_genesis_bundle.data.load_scan import LoadScand
from models_genesis_bundle.data.patch_centres import PatchCentresd
from models_genesis_bundle.data.patient_hashes import patient_hashes
from models_genesis_bundle.data.phantom import make_phantoms
from models_genesis_bundle.data.phantom_candidates import phantom_candidates
from models_genesis_bundle.data.recorded_preprocessing import recorded_preprocessing
from models_genesis_bundle.data.restore_intensity import RestoreScanIntensityd
from models_genesis_bundle.data.scan_compose import ScanCompose
from models_genesis_bundle.data.scan_error import ScanError
from models_genesis_bundle.data.scan_preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scan_source import scans_or_phantoms
from models_genesis_bundle.data.seeded_dataset import EpochIndex, SeededDataset

__all__ = [
    "BalancedEpochSampler",
    "BodyRule",
    "CandidateCubes",
    "CubeRule",
    "CubeSampler",
    "CubeStore",
    "CubeStoreSummary",
    "EpochIndex",
    "EpochSampler",
    "IntensityScaling",
    "LabelledPreprocessing",
    "LoadLabeld",
    "LoadScand",
    "LungRule",
    "PatchCentresd",
    "RestoreScanIntensityd",
    "ScaleScanIntensityd",
    "ScanCompose",
    "ScanError",
    "ScanPreprocessing",
    "SeededDataset",
    "check_patients_disjoint",
    "class_weights",
    "classification_datalist",
    "classification_source",
    "dataset_class_names",
    "genesis_pairs",
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
    "segmentation_datalist",
    "take_fraction",
    "training_sampler",
    "unlabelled_datalist",
]
