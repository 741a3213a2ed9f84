"""Facts of scans that were never written."""

from models_genesis_bundle.data.volumes.quality import ScanFacts


def scan(shape, spacing, percentiles=(0.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)) -> ScanFacts:
    return ScanFacts(tuple(shape), tuple(spacing), "", min(percentiles), max(percentiles), tuple(percentiles), 0.1)
