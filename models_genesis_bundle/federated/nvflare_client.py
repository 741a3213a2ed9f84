"""The client of NVIDIA FLARE at each site: it receives the global weights, trains a round and sends the difference."""

from __future__ import annotations

import fire
import nvflare.client as flare
from models_genesis_bundle.federated import PretrainingSite, read_settings
from nvflare.apis.fl_constant import FLMetaKey


def train_rounds(
    bundle_root: str, dataset_dir: str, output_dir: str, local_epochs: int = 1, settings: str = ""
) -> None:
    """Train a round for each request of the server.

    Args:
        bundle_root: the bundle's folder at the site.
        dataset_dir: the site's scans; ``{site}`` in it becomes the site's name.
        output_dir: folder of the site's metrics and checkpoints; ``{site}`` as above.
        local_epochs: epochs of a round.
        settings: a JSON file with more settings of the configuration.
    """
    flare.init()
    name = flare.get_site_name()
    site = PretrainingSite(
        name,
        bundle_root,
        output_dir.format(site=name),
        local_epochs,
        dataset_dir=dataset_dir.format(site=name),
        **read_settings(settings),
    )
    while flare.is_running():
        update = site.train(flare.receive().params)
        flare.send(
            flare.FLModel(
                params=update.difference,
                params_type=flare.ParamsType.DIFF,
                metrics={"val_mse": update.val_mse},
                meta={FLMetaKey.NUM_STEPS_CURRENT_ROUND: update.cubes},
            )
        )
    site.finalize()


if __name__ == "__main__":
    fire.Fire(train_rounds)
