"""Vectors of scans, cubes and points, and probes of them."""

from models_genesis_bundle.embeddings.cube_vectors import PERTURBATIONS, STATISTICS, CubeVectors, Embedder, Perturber
from models_genesis_bundle.embeddings.labelled_vectors import Embeddings, EmbeddingsError, read_labels
from models_genesis_bundle.embeddings.probe_report import probe_embeddings
from models_genesis_bundle.embeddings.probes import ProbeTask, stability
from models_genesis_bundle.embeddings.scans import CubePlacesd, ScanVectors, embedded_scans

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
