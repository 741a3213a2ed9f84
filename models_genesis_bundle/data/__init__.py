"""From scans on disk to training cubes."""

from models_genesis_bundle.data.cube_rules import BodyRule, CubeRule, LungRule
from models_genesis_bundle.data.cube_sampler import CubeSampler
from models_genesis_bundle.data.cube_store import CubeStore, CubeStoreSummary
from models_genesis_bundle.data.datalists import check_patients_disjoint, list_scans, pretraining_datalist
from models_genesis_bundle.data.epoch_sampler import EpochSampler
from models_genesis_bundle.data.genesis_pairs import genesis_pairs
from models_genesis_bundle.data.intensity import IntensityScaling, ScaleScanIntensityd
from models_genesis_bundle.data.load_scan import LoadScand, ScanError
from models_genesis_bundle.data.phantom import make_phantoms
from models_genesis_bundle.data.restore_intensity import RestoreScanIntensityd
from models_genesis_bundle.data.scan_preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scan_source import scans_or_phantoms
from models_genesis_bundle.data.seeded_dataset import EpochIndex, SeededDataset

__all__ = [
    "BodyRule",
    "CubeRule",
    "CubeSampler",
    "CubeStore",
    "CubeStoreSummary",
    "EpochIndex",
    "EpochSampler",
    "IntensityScaling",
    "LoadScand",
    "LungRule",
    "RestoreScanIntensityd",
    "ScaleScanIntensityd",
    "ScanError",
    "ScanPreprocessing",
    "SeededDataset",
    "check_patients_disjoint",
    "genesis_pairs",
    "list_scans",
    "make_phantoms",
    "pretraining_datalist",
    "scans_or_phantoms",
]
