from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from local_server import answering


@pytest.fixture(scope="session")
def maker(root):
    """scripts/make_archive.py as a module."""
    if not (root / ".git").exists():
        pytest.skip("the archive is made from a git checkout")
    spec = importlib.util.spec_from_file_location("make_archive", root / "scripts" / "make_archive.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shipped_weights(root, tmp_path_factory) -> Path:
    """models/model.pt; where there is none, a network of the same form with random weights."""
    from models_genesis_bundle.data import ScanPreprocessing
    from models_genesis_bundle.networks import GenesisUNet
    from models_genesis_bundle.weights import release_weights, write_weights

    path = root / "models" / "model.pt"
    if path.is_file():
        return path
    folder = tmp_path_factory.mktemp("weights")
    write_weights(
        folder / "run.pt",
        GenesisUNet(features=[16, 32, 64, 128]),
        preprocessing=ScanPreprocessing(spatial_dims=3).record(),
        cube_size=[48, 48, 24],
        output_activation="sigmoid",
    )
    return release_weights(folder / "run.pt", folder / "model.pt", "CC-BY-4.0")


@pytest.fixture(scope="session")
def archive(maker, shipped_weights, tmp_path_factory) -> Path:
    return maker.make_archive(tmp_path_factory.mktemp("archive"), str(shipped_weights), allow_uncommitted=True)


@pytest.fixture(scope="session")
def bundle(archive, maker, tmp_path_factory) -> Path:
    """The bundle's folder as it comes out of the archive."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / maker.NAME


@pytest.fixture(scope="session")
def server(archive):
    """The address of a local server with the archive."""
    handler = partial(SimpleHTTPRequestHandler, directory=archive.parent)
    with answering(handler) as address:
        yield address


@pytest.fixture(scope="session")
def without_checkout(no_checkout):
    """Runs Python in a folder, without this checkout, and returns what it prints."""

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=no_checkout, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def routes(without_checkout, bundle, tmp_path_factory) -> dict:
    """What every way into and out of the bundle gave, taken from another folder."""
    script = (Path(__file__).parent / "take_routes.py").read_text()
    printed = without_checkout(tmp_path_factory.mktemp("elsewhere"), "-c", script, str(bundle))
    return json.loads(printed.splitlines()[-1])
