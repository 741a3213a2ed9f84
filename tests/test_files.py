import json
import math
import os
import signal
import stat
import subprocess
import sys

import pytest
from models_genesis_bundle.files import file_sha256, printable, remove_unfinished, whole_file, write_json, write_table


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_table(path, [{"case": "a", "dice": 0.123456789, "n": 3}, {"case": "b", "note": None, "dice": math.nan}])
    wanted = "case,dice,n,note\na,0.12345679,3,\nb,nan,,\n"
    assert path.read_text() == wanted

    def half_a_row():
        yield {"case": "c"}
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_table(path, half_a_row())

    def half_a_file():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        half_a_file()
    assert path.read_text() == wanted
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace"])
def test_killed_while_writing_the_previous_file_stays(tmp_path, moment):
    path = write_json(tmp_path / "a.json", {"epoch": 1})
    code = f"""
import os, signal
from models_genesis_bundle.files import write_json
{moment} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
write_json({str(path)!r}, {{"epoch": 2}})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert json.loads(path.read_text()) == {"epoch": 1}
    assert len(remove_unfinished(tmp_path)) == 1
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.fixture
def killed_writer(tmp_path):
    """Kills a process while it writes ``scan.nii.gz`` into a new folder; gives the folder."""
    folder = tmp_path / "killed"
    code = """
import os, signal, sys
from models_genesis_bundle.files import whole_file
with whole_file(sys.argv[1]) as unfinished:
    unfinished.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, folder / "scan.nii.gz"], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = folder.iterdir()
    assert left.name.startswith(".unfinished-")
    assert left.name.endswith(".part.nii.gz"), "no search for *.nii.gz by the finished name may find it"
    return folder


def test_what_a_killed_process_left_is_removed_a_day_later(killed_writer):
    (left,) = killed_writer.iterdir()
    assert remove_unfinished(killed_writer, older_than=3600) == [], "another process may be writing it"
    os.utime(left, (0, 0))
    with whole_file(killed_writer / "scan.nii.gz") as unfinished:
        unfinished.write_bytes(b"whole")
    assert [path.name for path in killed_writer.iterdir()] == ["scan.nii.gz"]


def test_links_are_replaced_and_never_written_through(tmp_path, monkeypatch):
    victim, folder = tmp_path / "victim.json", tmp_path / "shared"
    victim.write_text("mine")
    folder.mkdir()
    (folder / "results.json").symlink_to(victim)
    (folder / f".unfinished-{os.getpid()}-results.part.json").symlink_to(victim)  # the name of earlier versions
    write_json(folder / "results.json", {"a": 1})
    assert victim.read_text() == "mine"
    assert not (folder / "results.json").is_symlink()
    with whole_file(folder / "guessed.json") as unfinished:
        name = unfinished.name
        unfinished.touch()
    token = name.removesuffix(".part.json").rsplit("-", 1)[-1]
    monkeypatch.setattr("secrets.token_hex", lambda digits: token)
    (folder / name).symlink_to(victim)
    with pytest.raises(OSError, match=r"guessed\.json could not be written: File exists"):
        write_json(folder / "guessed.json", {"a": 1})
    assert victim.read_text() == "mine"


def test_permissions_are_those_of_the_umask_or_of_the_file_that_is_replaced(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_json(tmp_path / "a.json", {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        write_json(path, {"a": 1})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named_with_the_file(tmp_path, monkeypatch):
    def denied(path, *arguments):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(OSError, match=r"a\.json could not be written: Permission denied"):
        write_json(tmp_path / "a.json", {})


def test_a_table_without_rows_has_its_header(tmp_path):
    assert write_table(tmp_path / "table.csv", [], ("case", "dice")).read_text() == "case,dice\n"


def test_file_names_of_any_bytes_can_be_written(tmp_path):
    name = os.fsdecode(b"s\xe9rie.nii")
    assert json.loads(write_json(tmp_path / "a.json", {"ü": name}).read_text(encoding="utf-8")) == {"ü": name}
    assert write_table(tmp_path / "a.csv", [{"case": name}]).read_text() == "case\ns\\udce9rie.nii\n"
    assert printable(name) == r"s\udce9rie.nii"
    assert printable("größe.nii") == "größe.nii"


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
