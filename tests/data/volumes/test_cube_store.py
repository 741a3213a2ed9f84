"""The cubes are those of the scans, and stay whole whatever happens while they are cut, replaced or read."""

from __future__ import annotations

import json
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
from monai.data import DataLoader

from models_genesis_bundle.data import (
    BodyRule,
    CubeSampler,
    CubeStore,
    IntensityScaling,
    LungRule,
    ScanError,
    ScanPreprocessing,
    list_scans,
    patient_hashes,
)

SIZE = (16, 16, 12)


@pytest.fixture
def scans(phantoms):
    return list_scans(phantoms / "images")


def extract(directory, scans, *, size=SIZE, rule=None, margin=0, small_scans="pad", intensity=None, **settings):
    sampler = CubeSampler(size, margin=margin, rule=rule or BodyRule(), small_scans=small_scans)
    settings = {"cubes_per_scan": 3, "num_workers": 0, **settings}
    return CubeStore.open_or_extract(directory, scans, ScanPreprocessing(intensity=intensity), sampler, **settings)


def content(directory: Path) -> list[bytes]:
    """All that a store holds; fails where an extraction left anything else."""
    files = sorted(path for path in directory.iterdir() if path.name != ".lock")
    assert len(files) == 2, files
    assert files[0].match("cubes-*.npy")
    assert files[1].name == "index.json"
    return [path.read_bytes() for path in files]


def write_nifti(path: Path, array) -> dict[str, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(array, dtype=np.float32), np.eye(4)), path)
    return {"image": str(path), "patient": path.name.split(".")[0]}


def organ(*shape):
    return np.random.default_rng(0).normal(50, 20, shape)


@pytest.mark.parametrize(("dtype", "step"), [("float16", 0.0005), ("float32", 0)])
def test_every_cube_is_the_one_that_its_record_says(tmp_path, scans, dtype, step):
    store = extract(tmp_path, scans, dtype=dtype)
    assert len(store) == 12
    assert store.shape == (12, 1, *SIZE)
    for number in range(len(store)):
        item, source = store[number], store.source_of(number)
        assert item["cube"] == number
        assert item["source"] == source["image"]
        scan = ScanPreprocessing()({"image": source["image"]})["image"].numpy()
        place = CubeSampler(SIZE).cube_at(store.corner_of(number))
        np.testing.assert_allclose(item["image"], scan[(0, *place)][None], atol=step, rtol=0)
        assert source["spacing"] == [5, 5, 6]
    assert {store.source_of(number)["patient"] for number in range(12)} == {scan["patient"] for scan in scans}


def test_an_item_is_an_array_of_its_own(tmp_path, scans):
    store = extract(tmp_path, scans)
    item = store[-1]["image"]
    assert type(item) is np.ndarray
    assert item.dtype == np.float32
    item[:] = 7
    assert store[11]["image"].max() <= 1
    for index in (12, -13):
        with pytest.raises(IndexError, match=rf"cube {index} of 12"):
            store[index]


def test_summary_and_record(tmp_path, scans):
    store = extract(tmp_path, scans)
    assert str(store.summary).startswith("12 cubes of 4 scans, 0.1 MiB")
    record = store.record()
    assert json.loads(json.dumps(record)) == record
    assert (record["scans"], record["patients"], record["cubes"]) == (4, 4, 12)
    assert record["patient_hashes"] == patient_hashes(f"phantom_00{number}" for number in range(4))
    assert "phantom" not in json.dumps(record), "a record is given away: it names nobody"
    assert record["settings"]["sampler"]["cube_size"] == list(SIZE)


def test_worker_processes_read_the_same_cubes(tmp_path, scans):
    store = extract(tmp_path, scans)
    store[0]
    again = pickle.loads(pickle.dumps(store))
    assert np.array_equal(again[3]["image"], store[3]["image"])
    batches = DataLoader(store, batch_size=5, num_workers=2, multiprocessing_context="fork")
    read = np.concatenate([batch["image"] for batch in batches])
    assert np.array_equal(read, np.stack([store[number]["image"] for number in range(12)]))


def test_any_number_of_processes_cuts_the_same_bytes(tmp_path, scans):
    extract(tmp_path / "none", scans, num_workers=0)
    extract(tmp_path / "two", scans, num_workers=2)
    assert content(tmp_path / "none") == content(tmp_path / "two")


def test_the_cubes_of_a_scan_depend_on_neither_place_nor_company(tmp_path, scans, phantoms):
    shutil.copytree(phantoms / "images", tmp_path / "moved")
    few = [scans[2], scans[0]]
    moved = [
        {**scan, "image": scan["image"].replace(str(phantoms / "images"), str(tmp_path / "moved"))} for scan in few
    ]
    stores = [extract(tmp_path / "all", scans), extract(tmp_path / "few", moved)]
    for patient in (scan["patient"] for scan in few):
        one, two = (
            [store[n]["image"] for n in range(len(store)) if store.source_of(n)["patient"] == patient]
            for store in stores
        )
        assert np.array_equal(one, two)


def test_an_unchanged_store_is_opened_as_it_is(tmp_path, scans, caplog):
    extract(tmp_path, scans)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != ".lock"}
    extract(tmp_path, scans, num_workers=2)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "anew" not in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"cubes_per_scan": 2},
        {"seed": 1},
        {"dtype": "float32"},
        {"size": (16, 16, 16)},
        {"margin": 1},
        {"rule": BodyRule(0.6)},
        {"small_scans": "skip"},
        {"intensity": IntensityScaling("window", -500, 500)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_makes_the_store_anew(tmp_path, scans, caplog, change):
    caplog.set_level("INFO")
    extract(tmp_path / "store", scans)
    changed = extract(tmp_path / "store", scans, **change)
    assert "the settings have changed, the cubes are extracted anew" in caplog.text
    fresh = extract(tmp_path / "fresh", scans, **change)
    assert content(tmp_path / "store") == content(tmp_path / "fresh")
    assert np.array_equal(changed[5]["image"], fresh[5]["image"])


@pytest.mark.parametrize("change", ["content", "time", "one more", "one less"])
def test_a_changed_scan_makes_the_store_anew(tmp_path, phantoms, caplog, change):
    caplog.set_level("INFO")
    folder = tmp_path / "scans"
    shutil.copytree(phantoms / "images", folder)
    files = sorted(folder.iterdir())
    extract(tmp_path / "store", list_scans(folder))
    state = files[0].stat()
    if change == "content":
        scan = nibabel.load(files[0])
        nibabel.save(nibabel.Nifti1Image(scan.get_fdata()[::-1].astype(np.int16), scan.affine), files[0])
        os.utime(files[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "time":
        os.utime(files[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    elif change == "one more":
        shutil.copy(files[0], folder / "phantom_999.nii.gz")
    else:
        files[0].unlink()
    extract(tmp_path / "store", list_scans(folder))
    assert "the scans have changed, the cubes are extracted anew" in caplog.text
    extract(tmp_path / "fresh", list_scans(folder))
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


def damage_index(directory, change):
    file = directory / "index.json"
    text = file.read_text()
    index = json.loads(text)
    if change == "version":
        index["settings"]["format_version"] = 99
    elif change in index:
        del index[change]
    file.write_text(text[: len(text) // 2] if change == "truncated" else json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated", r"index\.json: the index of this cube store is damaged"),
        ("sources", r"index\.json: the index of this cube store is damaged \(without sources\)"),
        ("cubes_bytes", r"index\.json: the index of this cube store is damaged \('cubes_bytes'\)"),
        ("version", "a cube store of version 99, this is for 1"),
        ("cubes truncated", r"cubes-\w+\.npy: damaged, \d+ bytes where the index says"),
        ("cubes missing", r"cubes-\w+\.npy: damaged, 0 bytes where the index says"),
    ],
)
def test_damage_is_noticed_and_repaired(tmp_path, scans, caplog, damage, message):
    extract(tmp_path, scans)
    wanted = content(tmp_path)
    cubes = next(tmp_path.glob("cubes-*.npy"))
    if damage == "cubes truncated":
        cubes.write_bytes(cubes.read_bytes()[:-1])
    elif damage == "cubes missing":
        cubes.unlink()
    else:
        damage_index(tmp_path, damage)
    with pytest.raises(ValueError, match=message):
        CubeStore(tmp_path)
    extract(tmp_path, scans)
    assert "It is made anew" in caplog.text
    assert content(tmp_path) == wanted


def test_a_folder_without_a_store(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no cube store in this folder"):
        CubeStore(tmp_path)


def test_a_store_that_another_run_replaced_says_so(tmp_path, scans):
    store = extract(tmp_path, scans)
    extract(tmp_path, scans, seed=1)
    with pytest.raises(FileNotFoundError, match="another run has replaced this store"):
        store[0]


# --- small, empty and unreadable scans ---


def test_a_small_scan_is_padded_on_both_sides_with_the_darkest_value(tmp_path):
    scan = write_nifti(tmp_path / "small.nii", organ(10, 20, 11))
    store = extract(tmp_path / "store", [scan], rule=BodyRule(0), intensity=IntensityScaling("zscore", clip=3))
    assert store.summary.padded == 1
    assert "were padded" in str(store.summary)
    x, y, z = store.corner_of(0)
    assert (x, z) == (-3, 0)
    assert 0 <= y <= 4
    image = store[0]["image"][0]
    assert (image[:3] == -3).all()
    assert (image[13:] == -3).all()
    assert (image[..., 11:] == -3).all()
    assert (image[3:13, :, :11] == -3).mean() < 0.01


def test_a_small_scan_is_left_out_where_that_is_wanted(tmp_path):
    scans = [write_nifti(tmp_path / f"{side}.nii", organ(side, 20, 20)) for side in (10, 20)]
    store = extract(tmp_path / "store", scans, small_scans="skip")
    assert store.summary.scans == 1
    assert store.summary.padded == 0
    assert store.summary.skipped == {scans[0]["image"]: "its shape (10, 20, 20) is below the cube (16, 16, 12)."}


def test_scans_that_give_few_cubes_or_none_are_counted_and_named(tmp_path, caplog):
    air = np.full((30, 30, 30), -1000.0)
    air[:6] = 40
    scans = [
        write_nifti(tmp_path / "large.nii", organ(30, 30, 30)),
        write_nifti(tmp_path / "tight.nii", organ(17, 16, 12)),
        write_nifti(tmp_path / "air.nii", air),
    ]
    store = extract(tmp_path / "store", scans)
    assert (store.summary.scans, store.summary.cubes, store.summary.short) == (2, 5, 1)
    assert "1 scans gave fewer cubes than wanted; 1 scans were skipped" in caplog.text
    assert "air.nii: no cube of (16, 16, 12) with margin (0, 0, 0)" in caplog.text
    assert "satisfies BodyRule(min_body=0.5)" in caplog.text


def test_margin_and_rule_hold_for_every_cube(tmp_path, scans):
    store = extract(tmp_path, scans, margin=(14, 18, 6), rule=LungRule(max_dense=0.3), cubes_per_scan=20)
    corners = np.array([store.corner_of(number) for number in range(len(store))])
    assert (corners >= (14, 18, 6)).all()
    assert (corners + SIZE <= np.array((64, 64, 48)) - (14, 18, 6)).all()
    dense = [(store[number]["image"] >= 0.425).mean() for number in range(len(store))]
    assert 0.05 < max(dense) <= 0.3 + 0.001, "-150 HU is 0.425 of the window"


def test_unreadable_scans_are_named_and_counted_or_end_the_work(tmp_path, scans, caplog):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(Path(scans[0]["image"]).read_bytes()[:5000])
    mixed = [scans[0], {"image": str(bad), "patient": "bad"}, scans[1]]
    with pytest.raises(ScanError, match=rf"{bad}: it cannot be read .* copy it again, or leave it out"):
        extract(tmp_path / "store", mixed, on_unreadable="raise")
    store = extract(tmp_path / "store", mixed)
    assert (store.summary.scans, len(store.summary.skipped)) == (2, 1)
    assert "1 scans were skipped" in caplog.text
    assert f"{bad}: it cannot be read" in caplog.text
    with pytest.raises(ScanError, match="left out of the store"):
        extract(tmp_path / "store", mixed, on_unreadable="raise")


def test_when_no_scan_is_left_every_reason_is_given(tmp_path):
    scans = [write_nifti(tmp_path / "flat.nii", np.ones((20, 20, 20))), {"image": "/none.nii", "patient": "none"}]
    with pytest.raises(
        ValueError, match=r"None of the 2 scans gave a cube:\n.*flat\.nii: it is constant.*\n.*none\.nii:"
    ):
        extract(tmp_path / "store", scans)
    with pytest.raises(FileNotFoundError):
        CubeStore(tmp_path / "store")


def test_an_error_that_is_not_the_scans_still_names_it(tmp_path, scans):
    class Broken(IntensityScaling):
        def __call__(self, image):
            raise MemoryError("too little memory")

    with pytest.raises(RuntimeError) as raised:
        extract(tmp_path, scans, intensity=Broken())
    assert raised.value.__notes__ == [f"The scan was {scans[0]['image']}."]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_unreadable": "ignore"}, "on_unreadable must be 'skip' or 'raise', got 'ignore'"),
        ({"dtype": "int16"}, "dtype must be one of float16, float32, got 'int16'"),
        ({"cubes_per_scan": 0}, "cubes_per_scan must be 1 or more"),
        ({"num_workers": -1}, "num_workers must be 0 or more, got -1"),
        ({"size": (16, 16)}, r"cube_size \(16, 16\) does not fit spatial_dims=3"),
        ({"scans": []}, "the list of scans is empty"),
    ],
)
def test_bad_arguments(tmp_path, scans, settings, message):
    with pytest.raises(ValueError, match=f"CubeStore: .*{message}"):
        extract(tmp_path / "store", **{"scans": scans, **settings})
    assert not (tmp_path / "store").exists()


# --- interruptions, full disks, two at once ---

EXTRACT = """
import os, signal, sys, time
from pathlib import Path
from models_genesis_bundle.data import CubeSampler, CubeStore, ScanPreprocessing, list_scans
folder, store, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
{before}
if __name__ == "__main__":
    CubeStore.open_or_extract(
        store, list_scans(folder), ScanPreprocessing(), CubeSampler((16, 16, 12)), cubes_per_scan=3, num_workers=workers
    )
"""
DIE_AT = """
def fatal(function):
    def replacement(*arguments, **named):
        if any(str(argument).endswith({name!r}) for argument in arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return replacement
{function} = fatal({function})
"""


@pytest.fixture
def many(phantoms, tmp_path) -> Path:
    """A folder of 24 scans, the phantoms under other names."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(24):
        shutil.copy(phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz", folder / f"{number:02d}.nii.gz")
    return folder


def start_extraction(folder: Path, store: Path, workers: int = 0, before: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", EXTRACT.format(before=before), str(folder), str(store), str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def parts(store: Path) -> int:
    return len(list(store.glob(".extracting/0*.json")))


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


def group_is_gone(process: subprocess.Popen, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(tmp_path, many, caplog):
    caplog.set_level("INFO")
    store = tmp_path / "store"
    process = start_extraction(many, store, workers=1)
    wait_for(lambda: parts(store) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert group_is_gone(process), "its worker process must end, too"
    done = parts(store)
    assert 2 <= done < 24
    with pytest.raises(FileNotFoundError, match="no cube store"):
        CubeStore(store)
    extract(store, list_scans(many))
    assert f"An interrupted extraction goes on: {done} of 24 scans are there." in caplog.text
    extract(tmp_path / "whole", list_scans(many))
    assert content(store) == content(tmp_path / "whole")


def test_killed_while_the_cubes_are_put_together_it_goes_on_to_the_same_bytes(tmp_path, many):
    """Once after some parts were joined and removed, once between the moves of the cubes and of the index."""
    moments = {"joining": ("Path.unlink", "000009.npy"), "moving": ("os.replace", "store_moving/index.json")}
    processes = {}
    for moment, (function, name) in moments.items():
        before = DIE_AT.format(function=function, name=name)
        processes[moment] = start_extraction(many, tmp_path / f"store_{moment}", before=before)
    extract(tmp_path / "whole", list_scans(many))
    for moment, process in processes.items():
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, errors
        store = tmp_path / f"store_{moment}"
        assert (store / ".extracting").exists()
        with pytest.raises(FileNotFoundError, match="no cube store"):
            CubeStore(store)
        extract(store, list_scans(many))
        assert content(store) == content(tmp_path / "whole"), moment


def test_what_an_extraction_with_other_settings_left_is_not_used(tmp_path, scans):
    with pytest.raises(ScanError):
        extract(tmp_path / "store", [*scans, {"image": "/none.nii", "patient": "none"}], on_unreadable="raise", seed=1)
    assert parts(tmp_path / "store") == 4
    extract(tmp_path / "store", scans)
    extract(tmp_path / "fresh", scans)
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


def test_two_processes_at_once_share_the_work_of_one(tmp_path, many):
    """Both start when both are ready; the second waits, then opens what the first made."""
    store = tmp_path / "store"
    meet = """
import logging
logging.basicConfig(level="INFO")
(folder.parent / f"ready{os.getpid()}").touch()
while len(list(folder.parent.glob("ready*"))) < 2:
    time.sleep(0.002)
"""
    processes = [start_extraction(many, store, before=meet) for _ in range(2)]
    logs = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], logs
    assert sum("another process extracts these cubes; waiting for it" in log for log in logs) == 1
    assert sum("Extracting cubes" in log for log in logs) == 1
    extract(tmp_path / "whole", list_scans(many))
    assert content(store) == content(tmp_path / "whole")


def test_the_lock_is_free_afterwards(tmp_path, scans):
    stores = [extract(tmp_path, scans, seed=seed) for seed in (0, 1)]
    with pytest.raises(ScanError):
        extract(tmp_path, [{"image": "/none.nii", "patient": "none"}], on_unreadable="raise")
    assert len(extract(tmp_path, scans, seed=2)) == len(stores[1]) == 12


def test_too_little_space_is_said_before_the_work(tmp_path, scans, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2**20))
    with pytest.raises(OSError, match=r"cubes need up to 6 MiB in .*store, 1 MiB are free. .* fewer cubes of a scan"):
        extract(tmp_path / "store", scans, cubes_per_scan=200)


def test_a_disk_that_fills_up_names_the_file_and_keeps_what_is_done(tmp_path, scans):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cubes-\w+\.npy could not be written: File too large"):
            extract(tmp_path / "store", scans)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "store").rglob("*.tmp"))
    with pytest.raises(FileNotFoundError):
        CubeStore(tmp_path / "store")
    extract(tmp_path / "store", scans)
    extract(tmp_path / "fresh", scans)
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


# --- memory ---


def mapped_memory() -> int:
    """Bytes of files that this process holds in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
def test_reading_takes_constant_memory(tmp_path, scans):
    """Also that of neighbours, which the system maps along with what is read; 25 MiB in random order."""
    store = extract(tmp_path, scans[:2], size=(32, 32, 16), cubes_per_scan=200, rule=BodyRule(0), dtype="float32")
    store[0]
    before = mapped_memory()
    for number in np.random.default_rng(0).permutation(len(store)):
        store[number]
    assert store.summary.bytes > 24 * 2**20
    assert mapped_memory() - before < 2**20
