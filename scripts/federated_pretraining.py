"""Share a pretraining between sites: python scripts/federated_pretraining.py simulate --dataset_dir SCANS --output_dir OUT"""

from pathlib import Path

from bundle_path import ROOT, start
from models_genesis_bundle.federated import read_settings, site_config, write_global_weights
from models_genesis_bundle.federated.nvflare_job import pretraining_job

BUNDLE_ROOT = str(ROOT)


class Commands:
    """In all commands ``dataset_dir`` and ``output_dir`` are paths at the sites; ``{site}`` is replaced by a site's name."""

    def simulate(
        self,
        dataset_dir: str,
        output_dir: str,
        sites: tuple[str, ...] = ("site-1", "site-2"),
        rounds: int = 2,
        local_epochs: int = 1,
        settings: str = "",
    ) -> None:
        """Run the job on this machine, one process for each site, and write ``model.pt`` to ``output_dir``.

        Args:
            dataset_dir: the sites' scans.
            output_dir: folder for the sites' runs, the simulator's workspace and the global weights.
            sites: names of the sites.
            rounds: number of rounds; each ends with an average of the weights.
            local_epochs: epochs of a round.
            settings: a JSON file with more settings of the configuration, the same for all sites.
        """
        from nvflare.recipe import SimEnv

        folder = Path(output_dir).resolve()
        job = self._job(dataset_dir, str(folder / "{site}"), len(sites), rounds, local_epochs, settings)
        run = job.execute(SimEnv(clients=list(sites), workspace_root=str(folder / "workspace")))
        result = Path(run.get_result(clean_up=False))
        (source,) = result.rglob("FL_global_model.pt")
        self.convert(str(source), str(folder / "model.pt"), settings, {"rounds": rounds, "sites": len(sites)})

    def export(
        self,
        dataset_dir: str,
        output_dir: str,
        job_dir: str,
        sites: int = 2,
        rounds: int = 100,
        local_epochs: int = 1,
        settings: str = "",
        bundle_root: str = BUNDLE_ROOT,
    ) -> None:
        """Write the job for a deployment to ``job_dir``; ``bundle_root`` and the other paths are those at the sites."""
        self._job(dataset_dir, output_dir, sites, rounds, local_epochs, settings, bundle_root).export(job_dir)

    def convert(self, source: str, output: str, settings: str = "", record: dict | None = None) -> None:
        """Write the server's ``FL_global_model.pt`` as a weight file of this bundle."""
        write_global_weights(source, output, site_config(ROOT, read_settings(settings)), record)
        print(f"Written: {output}")

    def _job(self, dataset_dir, output_dir, sites, rounds, local_epochs, settings, bundle_root=BUNDLE_ROOT):
        arguments = {
            "bundle_root": bundle_root,
            "dataset_dir": dataset_dir,
            "output_dir": output_dir,
            "local_epochs": local_epochs,
        }
        if settings:
            arguments["settings"] = str(Path(settings).resolve())
        return pretraining_job(site_config(ROOT, read_settings(settings)), sites, rounds, arguments)


if __name__ == "__main__":
    start(Commands)
