"""Facts of scans without files."""

from models_genesis_bundle.data.scans.quality import ScanFacts


def scan(shape, spacing, percentiles=(0.0, 50.0, 99.5)) -> ScanFacts:
    low, median, high = percentiles
    return ScanFacts(tuple(shape), tuple(spacing), "", low, high, low, median, high, 0.1, True)
