"""Vectors of scans, cubes and points, and what they are worth."""

from models_genesis_bundle.embeddings.cube_places import CubePlacesd
from models_genesis_bundle.embeddings.cube_vectors import STATISTICS, CubeVectors
from models_genesis_bundle.embeddings.embedder import Embedder
from models_genesis_bundle.embeddings.embeddings_file import Embeddings, EmbeddingsError
from models_genesis_bundle.embeddings.labels import read_labels
from models_genesis_bundle.embeddings.perturber import PERTURBATIONS, Perturber
from models_genesis_bundle.embeddings.probe_report import probe_embeddings
from models_genesis_bundle.embeddings.probes import ProbeTask
from models_genesis_bundle.embeddings.scan_items import embedded_scans
from models_genesis_bundle.embeddings.scan_vectors import ScanVectors
from models_genesis_bundle.embeddings.stability import stability

__all__ = [
    "PERTURBATIONS",
    "STATISTICS",
    "CubePlacesd",
    "CubeVectors",
    "Embedder",
    "Embeddings",
    "EmbeddingsError",
    "Perturber",
    "ProbeTask",
    "ScanVectors",
    "embedded_scans",
    "probe_embeddings",
    "read_labels",
    "stability",
]
