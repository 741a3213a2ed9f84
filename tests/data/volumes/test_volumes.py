"""Volumes have the voxels of the scans, also after interruptions, changes and damage."""

from __future__ import annotations

import itertools
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.data import (
    IntensityScaling,
    ScanError,
    ScanPreprocessing,
    SkippedScansError,
    Volumes,
    list_scans,
)
from models_genesis_bundle.data.volumes.item_folder import Journal
from organs import organ, write_nifti


@pytest.fixture
def scans(phantoms):
    return list_scans(phantoms / "images")


@pytest.fixture
def copied(phantoms, tmp_path):
    shutil.copytree(phantoms / "images", tmp_path / "scans")
    return list_scans(tmp_path / "scans")


def prepare(directory, scans, preprocessing=None, **settings):
    return Volumes(directory, scans, preprocessing or ScanPreprocessing(), **{"num_workers": 0, **settings})


def files(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of the prepared volumes by name."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*.b2nd"))
    }


def contents(directory: Path) -> dict[str, bytes]:
    assert not list(directory.rglob(".unfinished*"))
    return {name: content for name, (content, _) in files(directory).items()}


def test_a_volume_is_the_preprocessed_scan(tmp_path, scans):
    preprocessing = ScanPreprocessing(spacing=7.0)
    volumes = prepare(tmp_path, scans, preprocessing)
    assert len(volumes) == 4
    for scan in scans:
        image = preprocessing(scan)["image"]
        assert scan["image"] in volumes
        assert volumes.shape(scan["image"]) == image.shape[1:]
        np.testing.assert_allclose(volumes.affine(scan["image"]), image.affine)
        assert volumes.spacing(scan["image"]) == pytest.approx((7, 7, 7))
        found = volumes.read(scan["image"], (0, 0, 0), image.shape[1:])
        np.testing.assert_allclose(found, image.numpy(), atol=0.0005)
        np.testing.assert_array_equal(volumes.read(scan["image"], (3, 4, 5), (6, 7, 8)), found[:, 3:9, 4:11, 5:13])


def test_any_number_of_processes_makes_the_same_bytes(tmp_path, scans):
    prepare(tmp_path / "none", scans, num_workers=0)
    prepare(tmp_path / "two", scans, num_workers=2)
    assert contents(tmp_path / "none") == contents(tmp_path / "two")


def test_prepared_volumes_are_used_as_they_are(tmp_path, scans):
    prepare(tmp_path, scans[:3])
    before = files(tmp_path)
    prepare(tmp_path, scans, num_workers=2)
    after = files(tmp_path)
    assert len(after) == 4
    assert before == {name: after[name] for name in before}


def test_other_preprocessing_leaves_the_volumes_alone(tmp_path, scans):
    prepare(tmp_path, scans)
    before = files(tmp_path)
    other = prepare(tmp_path, scans, ScanPreprocessing(intensity=IntensityScaling("window", -500, 500)))
    assert len(files(tmp_path)) == 8
    assert before.items() <= files(tmp_path).items()
    assert other.read(scans[0]["image"], (0, 0, 0), (8, 8, 8)).max() <= 1


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_changed_scan_is_prepared_again_and_no_other(tmp_path, copied, change):
    prepare(tmp_path / "cache", copied)
    before = files(tmp_path / "cache")
    path = Path(copied[0]["image"])
    state = path.stat()
    if change == "content":
        scan = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(np.asarray(scan.dataobj)[::-1].copy(), scan.affine), path)
    else:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    again = prepare(tmp_path / "cache", copied)
    after = files(tmp_path / "cache")
    assert sum(after[name] != before[name] for name in after) == 1
    wanted = ScanPreprocessing()(copied[0])["image"].numpy()
    np.testing.assert_allclose(again.read(path, (0, 0, 0), wanted.shape[1:]), wanted, atol=0.0005)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_an_incomplete_volume_is_made_again_alone(tmp_path, scans, damage):
    prepare(tmp_path, scans)
    before = files(tmp_path)
    victim = sorted(tmp_path.rglob("*.b2nd"))[1]
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1])
    prepare(tmp_path, scans)
    after = files(tmp_path)
    assert [name for name in after if after[name] != before[name]] == [str(victim.relative_to(tmp_path))]
    assert contents(tmp_path) == {name: content for name, (content, _) in before.items()}


def test_a_flipped_byte_is_noticed_by_a_read_and_mended_on_the_spot(tmp_path, scans, caplog):
    volumes = prepare(tmp_path, scans)
    before = contents(tmp_path)
    for victim in tmp_path.rglob("*.b2nd"):
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        state = victim.stat()
        victim.write_bytes(content)
        os.utime(victim, ns=(state.st_atime_ns, state.st_mtime_ns))
    for opened in (volumes, prepare(tmp_path, scans)):
        for scan in scans:
            wanted = ScanPreprocessing()(scan)["image"].numpy()
            np.testing.assert_allclose(opened.read(scan["image"], (0, 0, 0), wanted.shape[1:]), wanted, atol=0.0005)
    assert caplog.text.count("It is made again.") == 4
    assert contents(tmp_path) == before


def test_a_volume_that_another_process_made_again_is_not_made_once_more(tmp_path, scans, caplog):
    """Otherwise, two loader workers would replace the file again and again until the end of the training."""
    image, box = scans[0]["image"], ((0, 0, 0), (8, 8, 8))
    one, other = prepare(tmp_path, scans), prepare(tmp_path, scans)
    wanted = other.read(image, *box)
    one.items.make_again(os.path.abspath(image), one.fingerprint(image), one._job(os.path.abspath(image)))
    before = files(tmp_path)
    for file in other._files.values():
        file.release()
    np.testing.assert_array_equal(other.read(image, *box), wanted)
    assert files(tmp_path) == before
    assert "made again" not in caplog.text


def test_damage_is_not_mended_from_a_scan_that_has_changed(tmp_path, copied):
    volumes = prepare(tmp_path / "cache", copied)
    for path in (tmp_path / "cache").rglob("*.b2nd"):
        path.unlink()
    os.utime(copied[0]["image"])
    with pytest.raises(ScanError, match=r"prepared volume is damaged, and the scan has changed .* Start again\."):
        volumes.read(copied[0]["image"], (0, 0, 0), (8, 8, 8))


def test_damage_is_not_mended_from_a_scan_that_cannot_be_read_any_more(tmp_path, copied):
    volumes = prepare(tmp_path / "cache", copied)
    path = Path(copied[0]["image"])
    state = path.stat()
    path.write_bytes(b"\0" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    Path(volumes.items.path(str(path))).unlink()
    with pytest.raises(ScanError, match=rf"{path.name}: it cannot be read .* damaged"):
        volumes.read(path, (0, 0, 0), (8, 8, 8))


def test_a_damaged_index_costs_the_damaged_entries(tmp_path, scans):
    prepare(tmp_path, scans)
    before = files(tmp_path)
    (index,) = tmp_path.rglob("index.jsonl")
    lines = index.read_bytes().split(b"\n")
    index.write_bytes(b"\n".join([*lines[:3], lines[3][:-9]]))
    prepare(tmp_path, scans)
    after = files(tmp_path)
    assert {name: content for name, (content, _) in before.items()} == contents(tmp_path)
    assert 1 <= sum(after[name] != before[name] for name in after) <= 3


def test_worker_processes_open_the_files_for_themselves(tmp_path, scans):
    volumes = prepare(tmp_path, scans)
    wanted = volumes.read(scans[1]["image"], (5, 5, 5), (8, 8, 8))
    again = pickle.loads(pickle.dumps(volumes))
    assert np.array_equal(again.read(scans[1]["image"], (5, 5, 5), (8, 8, 8)), wanted)


# --- scans that are left out ---


def test_unreadable_scans_are_named_with_their_rule_or_end_the_work(tmp_path, copied, caplog):
    bad = Path(copied[1]["image"])
    bad.write_bytes(bad.read_bytes()[:5000])
    volumes = prepare(tmp_path / "cache", copied)
    assert len(volumes) == 3
    assert list(volumes.left_out) == [str(bad)]
    assert "1 of 4 scans could not be used:" in caplog.text
    assert f"{bad}: {volumes.left_out[str(bad)]}" in caplog.text
    for directory in ("cache", "new"):
        with pytest.raises(ScanError, match=str(bad)):
            prepare(tmp_path / directory, copied, on_unreadable="raise")


def test_a_folder_that_cannot_be_written_serves_what_it_has(tmp_path, copied, monkeypatch):
    Path(copied[1]["image"]).write_bytes(b"junk")
    made = prepare(tmp_path, copied)
    monkeypatch.setattr("models_genesis_bundle.data.volumes.item_folder._START", time.time())
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write to every folder
    monkeypatch.setattr("models_genesis_bundle.data.volumes.item_folder.ItemFolder._locked", None)
    assert prepare(tmp_path, copied).left_out == made.left_out


def test_a_folder_that_cannot_be_made_is_said_with_the_setting(tmp_path, copied):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/volumes-\w+ cannot be written: Not a directory. .* another cache_dir"):
        prepare(tmp_path / "file", copied)


def test_an_unreadable_scan_is_tried_again_by_the_next_run(tmp_path, copied, monkeypatch):
    """The file may be the same, if the cause was a permission or an older version of the reader."""
    path = Path(copied[0]["image"])
    good, state = path.read_bytes(), path.stat()
    path.write_bytes(b"\0" * len(good))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert len(prepare(tmp_path / "cache", copied)) == 3
    path.write_bytes(good)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    monkeypatch.setattr("models_genesis_bundle.data.volumes.item_folder._START", time.time())
    assert len(prepare(tmp_path / "cache", copied)) == 4


def test_a_scan_of_two_slices_is_left_out_by_rule(tmp_path):
    scans = [write_nifti(tmp_path / "thin.nii", organ(30, 30, 2)), write_nifti(tmp_path / "good.nii", organ(30, 30, 9))]
    volumes = prepare(tmp_path / "cache", scans)
    assert volumes.left_out[scans[0]["image"]].endswith("[few_slices]")
    assert len(prepare(tmp_path / "cache", scans, apply_rules=False)) == 2


def test_a_mixed_set_is_used_and_named(tmp_path, caplog):
    scans = [write_nifti(tmp_path / f"{n}.nii", 5 * organ(30, 30, 9) - 300 + 1400 * (n > 1)) for n in range(4)]
    assert len(prepare(tmp_path / "cache", scans)) == 4
    assert f"2 of 4 differ from the rest. The first is {scans[2]['image']}: it is not in HU" in caplog.text


def test_scans_that_a_rule_excludes_have_no_say_in_what_most_scans_are(tmp_path):
    """For example, a folder has masks of many organs for each CT, with names that are not those of label maps."""
    masks = [write_nifti(tmp_path / f"{name}.nii", organ(30, 30, 9) > 0) for name in ("heart", "liver", "lungs")]
    ct = write_nifti(tmp_path / "scan.nii", 5 * organ(30, 30, 9) - 300)
    volumes = prepare(tmp_path / "cache", [*masks, ct])
    assert (len(volumes), len(volumes.left_out)) == (1, 3)
    assert ct["image"] in volumes


@pytest.mark.parametrize(("mode", "warned"), [("window", True), ("percentile", False)])
def test_scans_of_another_unit_in_the_window_of_ct_are_warned_of(tmp_path, caplog, mode, warned):
    """For example, an MR or a CT that is scaled to 0 ... 1 has only a small part of the range."""
    scans = [write_nifti(tmp_path / f"{n}.nii", 5 * organ(30, 30, 9) + 1000 * n) for n in range(1, 3)]
    assert len(prepare(tmp_path / "cache", scans, ScanPreprocessing(intensity=IntensityScaling(mode)))) == 2
    assert ("2 of 2 scans are not in HU, but all are scaled as CT in HU" in caplog.text) == warned
    caplog.clear()
    prepare(tmp_path / "cache", scans, ScanPreprocessing(intensity=IntensityScaling("window", 0, 4000)))
    assert "scaled as CT" not in caplog.text


def test_when_no_scan_is_left_every_reason_is_given(tmp_path):
    scans = [write_nifti(tmp_path / "flat.nii", np.ones((20, 20, 20))), {"image": "/none.nii", "patient": "none"}]
    message = r"None of the 2 scans could be used:\n.*flat\.nii: it is constant.*\n.*none\.nii:"
    with pytest.raises(SkippedScansError, match=message):
        prepare(tmp_path / "cache", scans)


def test_an_error_that_is_not_the_scans_still_names_it(tmp_path, scans):
    class Broken(IntensityScaling):
        def __call__(self, image):
            raise MemoryError("too little memory")

    with pytest.raises(MemoryError) as raised:
        prepare(tmp_path, scans, ScanPreprocessing(intensity=Broken()))
    assert raised.value.__notes__ == [f"The scan was {scans[0]['image']}."]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_unreadable": "ignore"}, "on_unreadable must be skip or raise, got 'ignore'"),
        ({"num_workers": -1}, "num_workers must be 0 or more, got -1"),
        ({"scans": []}, "the list of scans is empty"),
    ],
)
def test_bad_arguments(tmp_path, scans, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "cache", **{"scans": scans, **settings})
    assert not (tmp_path / "cache").exists()


# --- interruptions, two at once, full disks ---

PREPARE = """
import os, sys, time
from pathlib import Path
from models_genesis_bundle.data import ScanPreprocessing, Volumes, list_scans
folder, cache, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
{before}
Volumes(cache, list_scans(folder), ScanPreprocessing(), num_workers=workers)
"""


@pytest.fixture
def many(phantoms, tmp_path) -> Path:
    """A folder of 24 scans, which are the phantoms with other names."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(24):
        shutil.copy(phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz", folder / f"{number:02d}.nii.gz")
    return folder


def start_preparation(folder: Path, cache: Path, workers: int = 0, before: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE.format(before=before), str(folder), str(cache), str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def prepared(cache: Path) -> int:
    return len(list(cache.rglob("[0-9a-f]*.b2nd")))


def recorded(cache: Path) -> int:
    """The number of volumes in the journal."""
    return sum(len(Journal(path).read()) for path in cache.rglob("index.jsonl"))


def wait_until(condition, seconds: float = 300) -> bool:
    for _ in itertools.takewhile(lambda end: time.monotonic() < end, itertools.repeat(time.monotonic() + seconds)):
        if condition():
            return True
        time.sleep(0.01)
    return False


def no_process_is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_in_the_middle_it_goes_on_with_what_is_missing(tmp_path, many, caplog):
    caplog.set_level("INFO")
    cache = tmp_path / "cache"
    process = start_preparation(many, cache, workers=2)
    assert wait_until(lambda: recorded(cache) >= 3 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert wait_until(lambda: no_process_is_left(process.pid)), "its worker processes must end"
    before = files(cache)
    assert 3 <= len(before) < 24
    kept = recorded(cache)
    prepare(cache, list_scans(many))
    assert f"{kept} of 24 exist already" in caplog.text
    after = files(cache)
    assert sum(after.get(name) == before[name] for name in before) == kept, "what was recorded is not made again"
    prepare(tmp_path / "whole", list_scans(many))
    assert contents(cache) == contents(tmp_path / "whole")


def test_of_two_processes_one_prepares_and_the_other_waits(tmp_path, many):
    meet = """
import logging
logging.basicConfig(level="INFO")
(folder.parent / f"ready{os.getpid()}").touch()
while len(list(folder.parent.glob("ready*"))) < 2:
    time.sleep(0.002)
"""
    processes = [start_preparation(many, tmp_path / "cache", before=meet) for _ in range(2)]
    logs = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], logs
    assert sum("waiting for another process that is writing to this folder" in log for log in logs) == 1
    assert sum("Preparing volumes" in log and "0/24" in log for log in logs) == 1
    assert prepared(tmp_path / "cache") == 24


def test_a_disk_that_will_be_full_is_said_early(tmp_path, scans, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2**10))
    with pytest.raises(OSError, match=r"3 more volumes need about \d+ MiB, 0 MiB are free\. .* another cache_dir"):
        prepare(tmp_path / "cache", scans)
    assert prepared(tmp_path / "cache") == 1


def test_a_disk_that_is_full_names_the_file_and_keeps_what_is_done(tmp_path, scans):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"\w+\.b2nd could not be written: File too large"):
            prepare(tmp_path / "cache", scans)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    prepare(tmp_path / "cache", scans)
    prepare(tmp_path / "whole", scans)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
def test_reading_takes_little_memory(tmp_path, monkeypatch):
    """80 MiB of volumes that cannot be compressed are read in random order; mapped files count."""
    first = write_nifti(tmp_path / "0.nii", np.random.default_rng(0).normal(size=(170, 170, 150)))
    scans = [first, *({**first, "image": str(tmp_path / f"{number}.nii")} for number in range(1, 12))]
    for scan in scans[1:]:
        os.link(first["image"], scan["image"])
    volumes = prepare(tmp_path / "cache", scans, ScanPreprocessing(intensity=IntensityScaling("zscore")))
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.b2nd")) > 70 * 2**20
    monkeypatch.setattr("models_genesis_bundle.data.volumes.volumes._MOST_MAPPED_BYTES", 12 * 2**20)
    draw = np.random.default_rng(0)
    before, most = mapped_memory(), 0
    for _ in range(150):
        image = scans[draw.integers(12)]["image"]
        volumes.read(image, draw.integers(0, 130, 3).tolist(), (32, 32, 16))
        most = max(most, mapped_memory() - before)
    assert most < 40 * 2**20


def mapped_memory() -> int:
    """Bytes of files that this process holds in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024
