"""Two sites train by MONAI's MonaiAlgo, and their updates are averaged as a server would."""

from __future__ import annotations

import pytest
import torch
from bundle_commands import ROOT
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.federated import PretrainingSite, site_config, write_global_weights
from models_genesis_bundle.weights import read_checkpoint, read_weights, write_checkpoint
from two_sites import SCANS, SMALL, make_scans


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    built = []
    for name in SCANS:
        folder = tmp_path_factory.mktemp(name)
        scans = make_scans(folder / "scans", name)
        built.append(PretrainingSite(name, ROOT, folder / "run", dataset_dir=f"{scans}/images", **SMALL))
    yield built
    for site in built:
        site.finalize()


def weighted_mean(weights, updates):
    total = sum(update.cubes for update in updates)
    return {
        key: value + sum(update.difference[key] * (update.cubes / total) for update in updates)
        for key, value in weights.items()
    }


def test_each_round_starts_from_the_weighted_mean_and_counters_go_on(sites, tmp_path):
    config = site_config(ROOT, SMALL)
    weights = config.get_parsed_content("network_def").state_dict()
    for round_number in (1, 2):
        updates = [site.train(weights) for site in sites]
        assert updates[0].cubes < updates[1].cubes
        for site, update in zip(sites, updates, strict=True):
            own = site.algo.trainer.network.state_dict()
            assert all(
                torch.allclose(own[key].float(), (weights[key] + update.difference[key]).float(), atol=1e-6)
                for key in weights
            ), "a round starts from the global weights, and nothing else is loaded"
            assert any(difference.any() for difference in update.difference.values())
            assert site.algo.trainer.state.epoch == round_number
            assert site.algo.trainer.state.iteration == round_number * -(-update.cubes // 2)
            run = site.algo.train_workflow.parser.get_parsed_content("output_dir")
            assert [line["epoch"] for line in read_metrics(f"{run}/metrics.csv")] == list(range(1, round_number + 1))
            assert read_checkpoint(f"{run}/checkpoints/last.pt")["trainer"]["epoch"] == round_number
        weights = weighted_mean(weights, updates)
    server = write_checkpoint({"model": weights}, tmp_path / "FL_global_model.pt")
    written = read_weights(write_global_weights(server, tmp_path / "model.pt", config, {"rounds": 2, "sites": 2}))
    assert all(torch.equal(written["model"][key], weights[key].to(written["model"][key].dtype)) for key in weights)
    assert written["data"] == {"federated": {"rounds": 2, "sites": 2}}
    assert written["preprocessing"]["intensity"]["lower"] == -1000


def test_weights_of_another_network_are_refused(sites):
    with pytest.raises(ValueError, match="of another network"):
        sites[0].train({"encoder.stem": torch.zeros(1)})


def test_settings_that_a_round_cannot_have_are_refused(tmp_path):
    """A resumed round would send its difference from other weights than the global ones."""
    with pytest.raises(ValueError, match="resume: expected false"):
        PretrainingSite("a", ROOT, tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"val_interval: expected a divisor of local_epochs=3, .* found 2"):
        PretrainingSite("a", ROOT, tmp_path, local_epochs=3, val_interval=2)
