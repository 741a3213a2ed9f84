"""Published files are downloaded whole, and only by those who accept the licence."""

import hashlib
import os
import runpy

import pytest
from range_server import Served, serving

from models_genesis_bundle.weights.published.download import PUBLISHED_FILES, DownloadError, download_published

NAME = "Genesis_Chest_CT.pt"
CONTENT = bytes(range(256)) * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PARTIAL = f".{NAME}.unfinished"


@pytest.fixture
def served():
    with serving(Served(CONTENT)) as server:
        yield server


def test_a_file_is_fetched_and_not_fetched_again(served, tmp_path):
    path = download_published(NAME, tmp_path / "new", served.url + "/", DIGEST.upper())
    assert path == tmp_path / "new" / NAME
    assert path.read_bytes() == CONTENT
    assert download_published(NAME, tmp_path / "new", served.url, DIGEST) == path
    assert served.asked == [(f"/files/{NAME}", None)]
    assert os.listdir(tmp_path / "new") == [NAME]


def test_a_broken_download_goes_on_where_it_ended(served, tmp_path):
    served.breaks_after = 1_000_000
    with pytest.raises(DownloadError, match=r"ended after 1000000 of 2560000 bytes.*The 1000000 bytes .* are kept"):
        download_published(NAME, tmp_path, served.url)
    assert os.listdir(tmp_path) == [PARTIAL]
    assert download_published(NAME, tmp_path, served.url, DIGEST).read_bytes() == CONTENT
    assert [wanted for _, wanted in served.asked] == [None, "bytes=1000000-"]
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("present", [1_000_000, len(CONTENT) + 5], ids=["part", "too much"])
def test_what_is_there_is_thrown_away_when_the_server_cannot_continue_it(served, tmp_path, present):
    (tmp_path / PARTIAL).write_bytes(b"x" * present)
    served.knows_ranges = present > len(CONTENT)
    assert download_published(NAME, tmp_path, served.url).read_bytes() == CONTENT


def test_a_whole_file_that_was_not_put_in_place_is_not_fetched_again(served, tmp_path):
    (tmp_path / PARTIAL).write_bytes(CONTENT)
    assert download_published(NAME, tmp_path, served.url, DIGEST).read_bytes() == CONTENT
    assert served.asked == [(f"/files/{NAME}", f"bytes={len(CONTENT)}-")]


def test_another_digest_is_refused(served, tmp_path):
    with pytest.raises(DownloadError, match=rf"SHA-256 is {DIGEST}, expected {'0' * 64}. It was removed"):
        download_published(NAME, tmp_path, served.url, "0" * 64)
    assert os.listdir(tmp_path) == []
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(DownloadError, match="It was there before and is kept"):
        download_published(NAME, tmp_path, served.url, DIGEST)
    assert (tmp_path / NAME).read_bytes() == b"mine"


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_of_the_server_is_named_and_leaves_what_has_come(served, tmp_path, status):
    (tmp_path / PARTIAL).write_bytes(CONTENT[:9])
    served.status = status
    with pytest.raises(DownloadError, match=rf"{served.url}/{NAME}: the server answered {status}"):
        download_published(NAME, tmp_path, served.url)
    assert (tmp_path / PARTIAL).read_bytes() == CONTENT[:9]


def test_no_connection_is_named(tmp_path):
    nowhere = "http://127.0.0.1:1"
    with pytest.raises(
        DownloadError, match=rf"{nowhere}/{NAME}: could not be downloaded .*refused.*repeat the command"
    ):
        download_published(NAME, tmp_path, nowhere)
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_not_published_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(DownloadError, match=r"\.\./other\.pt: no published .*" + ", ".join(PUBLISHED_FILES)):
        download_published("../other.pt", tmp_path)


@pytest.fixture
def command(root, tmp_path):
    """The script's command, downloading to ``tmp_path``."""
    download = runpy.run_path(str(root / "scripts" / "download_weights.py"))["download"]
    return lambda name, **settings: download(name, str(tmp_path), **settings)


@pytest.mark.parametrize("accepted", [{}, {"accept_licence": False}, {"accept_licence": "no"}])
def test_without_acceptance_the_licence_is_shown_and_nothing_else_happens(served, tmp_path, command, capsys, accepted):
    with pytest.raises(SystemExit, match="repeat the command with --accept_licence True"):
        command(NAME, base_url=served.url, **accepted)
    assert "non-commercial use only" in capsys.readouterr().err
    assert served.asked == []
    assert os.listdir(tmp_path) == []


def test_the_command_downloads_for_those_who_accept(served, tmp_path, command, capsys):
    assert command(NAME, accept_licence="true", base_url=served.url, sha256=DIGEST) == str(tmp_path / NAME)
    assert "non-commercial use only" in capsys.readouterr().err
    served.status = 500
    with pytest.raises(SystemExit, match="answered 500"):
        command("Genesis_Chest_CT.h5", accept_licence=True, base_url=served.url)
