"""The job of NVIDIA FLARE in its simulator: two sites, two rounds."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from bundle_commands import ROOT
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import load_weights, read_checkpoint, read_weights
from two_sites import SCANS, SMALL, make_scans

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nvflare") is None, reason="needs nvflare: pip install models-genesis-bundle[federated]"
)


def test_the_global_model_is_the_weighted_mean_of_the_sites(tmp_path):
    """Behind the last round, where last.pt holds what each site had trained to."""
    for name in SCANS:
        make_scans(tmp_path / "scans" / name, name)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(SMALL))
    command = [sys.executable, str(ROOT / "scripts" / "federated_pretraining.py"), "simulate"]
    command += ["--dataset_dir", f"{tmp_path}/scans/{{site}}/images", "--output_dir", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--settings", str(settings)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    sites = [tmp_path / "run" / name for name in SCANS]
    counts = [read_weights(site / "checkpoints" / "model.pt")["data"]["cubes"] for site in sites]
    assert counts[0] < counts[1]
    trained = [read_checkpoint(site / "checkpoints" / "last.pt") for site in sites]
    assert [state["trainer"]["epoch"] for state in trained] == [2, 2]
    assert all(len(read_metrics(site / "metrics.csv")) == 2 for site in sites)
    network = load_weights(GenesisUNet(features=(4, 8)), tmp_path / "run" / "model.pt")
    for key, found in network.state_dict().items():
        wanted = sum(state["model"][key] * (count / sum(counts)) for state, count in zip(trained, counts, strict=True))
        rounded = 1e-6 if found.is_floating_point() else 1.0  # counters of batches stay whole numbers
        assert float((found - wanted).abs().max()) < rounded, key
