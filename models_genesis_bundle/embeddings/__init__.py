"""Vectors of scans, cubes and points, and probes of them."""

from models_genesis_bundle.embeddings.cube_places import CubePlacesd, embedded_scans
from models_genesis_bundle.embeddings.cube_vectors import PERTURBATIONS, STATISTICS, CubeVectors, Embedder, Perturber
from models_genesis_bundle.embeddings.embeddings_file import Embeddings, EmbeddingsError, ScanVectors
from models_genesis_bundle.embeddings.labels import read_labels
from models_genesis_bundle.embeddings.probe_report import probe_embeddings
from models_genesis_bundle.embeddings.probes import ProbeTask, stability

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
