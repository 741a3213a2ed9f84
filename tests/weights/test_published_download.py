"""Published files are downloaded whole, and only by those who accept the licence."""

import hashlib
import logging
import os
import runpy
from functools import partial

import pytest
from hub_server import HubHandler
from local_server import answering
from models_genesis_bundle.weights.published import FILES, download
from models_genesis_bundle.weights.published.download import DownloadError, download_published

NAME = "Genesis_Chest_CT.pt"
CONTENT = bytes(range(256)) * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=[True, False], ids=["huggingface_hub", "without the package"])
def served(request, tmp_path, monkeypatch):
    """The address of the file on a local Hub, without its name; it is fetched by the package, or as from any server."""
    if request.param:
        pytest.importorskip("huggingface_hub", reason="pip install models-genesis-bundle[hub]")
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    else:
        monkeypatch.setattr(download, "optional_import", lambda name: (None, False))
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    with answering(partial(HubHandler, repository="owner/name", folder=folder)) as address:
        yield f"{address}/owner/name/resolve/main"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "published"


def files(folder) -> list[str]:
    return [name for name in os.listdir(folder) if name != ".cache"]


def test_a_file_is_fetched_and_not_fetched_again(served, output, caplog):
    caplog.set_level(logging.INFO)
    path = download_published(NAME, output, served + "/", DIGEST.upper())
    assert path == output / NAME
    assert path.read_bytes() == CONTENT
    assert f"{path}: 2560000 bytes, SHA-256 {DIGEST}" in caplog.text
    assert download_published(NAME, output, "http://127.0.0.1:1/nowhere", DIGEST) == path
    assert f"{path} is already there" in caplog.text
    assert files(output) == [NAME]


def test_a_name_with_a_folder_makes_one(served, tmp_path, output):
    (tmp_path / "hub" / "model.safetensors").write_bytes(CONTENT)
    path = download_published("ct_fm_feature_extractor/model.safetensors", output, served)
    assert path == output / "ct_fm_feature_extractor" / "model.safetensors"
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", FILES)
def test_each_file_comes_from_the_address_in_the_table(name, output, monkeypatch):
    def fetched(path, base_url):
        assert f"{base_url}/{path.name}" == FILES[name].files[name]
        path.parent.mkdir(parents=True)
        path.write_bytes(CONTENT)

    monkeypatch.setattr(download, "_download", fetched)
    assert download_published(name, output) == output / name


def test_another_digest_is_refused(served, output):
    with pytest.raises(DownloadError, match=rf"SHA-256 is {DIGEST}, expected {'0' * 64}. It was removed"):
        download_published(NAME, output, served, "0" * 64)
    assert files(output) == []
    (output / NAME).write_bytes(b"mine")
    with pytest.raises(DownloadError, match="It was there before and is kept"):
        download_published(NAME, output, served, DIGEST)
    assert (output / NAME).read_bytes() == b"mine"


def test_a_connection_that_breaks_leaves_nothing_or_is_taken_up_again(served, output, monkeypatch):
    monkeypatch.setattr(HubHandler, "breaks_after", 1_000_000)
    if not download.optional_import("huggingface_hub")[1]:
        with pytest.raises(DownloadError, match="got only 1000000 out of 2560000 bytes"):
            download_published(NAME, output, served)
        assert files(output) == []
    assert download_published(NAME, output, served).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["", "/another"], ids=["file", "server"])
def test_what_is_not_there_is_named(served, output, address):
    name = "Genesis_Chest_CT.h5" if not address else NAME
    base_url = served if not address else "http://127.0.0.1:1/owner/name/resolve/main"
    with pytest.raises(
        DownloadError, match=rf"{base_url}/{name}: could not be downloaded .*(404|refused).*Check the internet"
    ):
        download_published(name, output, base_url)
    assert files(output) == []


def test_a_name_that_is_not_published_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(DownloadError, match=r"\.\./other\.pt: there is no published .*" + ", ".join(FILES)):
        download_published("../other.pt", tmp_path)


@pytest.fixture
def command(root, output):
    """The script's command, downloading to ``output``."""
    downloading = runpy.run_path(str(root / "scripts" / "download_weights.py"))["download"]
    return lambda name, **settings: downloading(name, str(output), **settings)


@pytest.mark.parametrize("accepted", [{}, {"accept_licence": False}, {"accept_licence": "no"}])
def test_without_acceptance_the_licence_is_shown_and_nothing_else_happens(output, command, capsys, accepted):
    with pytest.raises(SystemExit, match="repeat the command with --accept_licence True"):
        command(NAME, **accepted)
    assert "non-commercial use only" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command("supervised_suprem_unet_2100.pth", **accepted)
    assert "Licence: CC BY-NC-ND 4.0" in capsys.readouterr().err
    assert not output.exists()


def test_the_command_downloads_for_those_who_accept(served, output, command, capsys):
    assert command(NAME, accept_licence="true", base_url=served, sha256=DIGEST) == str(output / NAME)
    assert "non-commercial use only" in capsys.readouterr().err
    with pytest.raises(DownloadError, match="could not be downloaded"):
        command("Genesis_Chest_CT.h5", accept_licence=True, base_url=served)
