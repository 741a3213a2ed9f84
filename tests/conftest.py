from __future__ import annotations

import os
from pathlib import Path

import pytest
from bundle_commands import ROOT, TINY, arguments, finish, run_here, start

# One thread, here as in the processes that tests start: sums are added up in the same order everywhere.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_terminal_summary(terminalreporter) -> None:
    """Name what a failure may hang on: the number format that this processor trains in."""
    import torch
    from models_genesis_bundle.engines import precision_dtype

    capability = torch.backends.cpu.get_cpu_capability()
    terminalreporter.write_line(f"precision auto: {precision_dtype('auto', torch.device('cpu'))} ({capability})")


# What `make test-fast` leaves out: whole runs, packages, notebooks and other programs.
SLOW = (
    *("auto3dseg", "comparison", "devices", "export", "federated", "package", "restorations", "scripts"),
    *("documentation/test_commands_run", "documentation/test_notebook", "documentation/test_python_blocks"),
    *(
        "documentation/test_documentation_site",
        "embeddings/test_embedding",
        "engines/test_run_training",
        "planning/test_run",
    ),
    *("planning/test_nnunet_overlay", "weights/test_pretrained", "weights/test_published_fine_tuning"),
    *("test_bad_input", "test_channels", "test_classification", "test_configs", "test_inference", "test_pretrain"),
    *("test_segmentation", "test_tracking"),
)


def pytest_collection_modifyitems(items) -> None:
    """Mark the tests of whole runs as slow."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def metadata_schema(root) -> Path:
    """The published schema of a bundle's metadata, where it lies beside the repository."""
    path = root.parent / "shared" / "reference" / "meta_schema_20240725.json"
    if not path.exists():
        pytest.skip(f"needs the metadata schema {path.name} beside the repository")
    return path


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """Four small phantoms; the folder holds images/ and labels/."""
    from models_genesis_bundle.data import make_phantoms

    return Path(make_phantoms(tmp_path_factory.mktemp("phantoms"), count=4, size=(64, 64, 48), spacing=(5.0, 5.0, 6.0)))


@pytest.fixture(scope="session")
def pretrain_words(phantoms):
    """The words of `monai.bundle run training` on the phantoms with the tiny settings."""

    def words(output_dir, *configs: str, **settings) -> list[str]:
        files = ["configs/pretrain.yaml", *configs]
        merged = {**TINY, "dataset_dir": phantoms / "images", "output_dir": output_dir, "max_epochs": 2, **settings}
        config_file = files[0] if len(files) == 1 else str(files)
        return ["run", "training", "--config_file", config_file, *arguments(**merged)]

    return words


@pytest.fixture(scope="session")
def pretrain(pretrain_words):
    """Pretrains on the phantoms with the tiny settings, in this process."""
    return lambda output_dir, *configs, **settings: run_here(*pretrain_words(output_dir, *configs, **settings))


@pytest.fixture(scope="session")
def pretrained(pretrain_words, tmp_path_factory) -> Path:
    """The output folder of a tiny pretraining run of four epochs, in a process of its own."""
    output_dir = tmp_path_factory.mktemp("pretrained")
    finish(start(*pretrain_words(output_dir, max_epochs=4)))
    return output_dir


@pytest.fixture(scope="session")
def no_checkout(tmp_path_factory) -> dict[str, str]:
    """The environment of a process for which this package is not installed, as for someone who downloaded a bundle."""
    folder = tmp_path_factory.mktemp("no_checkout")
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in str(finder)]\n"
        f"sys.path = [path for path in sys.path if path != {str(ROOT)!r}]\n"
    )
    return {**os.environ, "PYTHONPATH": str(folder)}
