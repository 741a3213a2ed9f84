from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from models_genesis_bundle.data import ScanPreprocessing, Volumes, list_scans
from models_genesis_bundle.data.volumes.item_folder import Journal, run_jobs


def test_without_workers_it_runs_here():
    assert dict(run_jobs([("a", os.getpid), ("b", os.getpid)], num_workers=0)) == dict.fromkeys("ab", os.getpid())


def kill_second(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_killed_process_is_said_with_the_remedy():
    with pytest.raises(RuntimeError, match=r"was killed, .* Use fewer processes \(volumes::num_workers\)"):
        list(run_jobs([(str(item), partial(kill_second, item)) for item in range(4)], num_workers=2))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster():
    """A Dask scheduler and two workers on this machine: address and worker processes."""
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    port = address.rpartition(":")[2]
    commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", port]]
    commands += [["dask_worker", address, "--nthreads", "1", "--no-nanny"]] * 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *words, "--no-dashboard"],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        for name, *words in commands
    ]
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


def test_a_dask_cluster_prepares_the_same_bytes_when_a_worker_is_killed(cluster, phantoms, tmp_path):
    address, workers = cluster
    (tmp_path / "scans").mkdir()
    for number in range(12):
        phantom = phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz"
        shutil.copy(phantom, tmp_path / "scans" / f"{number:02d}.nii.gz")
    scans = list_scans(tmp_path / "scans")

    def kill_one_on_the_way() -> None:
        while len(list((tmp_path / "cluster").rglob("*.b2nd"))) < 3:
            time.sleep(0.01)
        workers[0].kill()

    killer = threading.Thread(target=kill_one_on_the_way, daemon=True)
    killer.start()
    volumes = Volumes(tmp_path / "cluster", scans, ScanPreprocessing(), scheduler=address)
    killer.join(timeout=10)
    assert workers[0].wait(timeout=10) == -signal.SIGKILL
    assert len(volumes) == 12
    Volumes(tmp_path / "here", scans, ScanPreprocessing(), num_workers=0)
    made = [
        {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("[0-9a-f]*.b2nd")}
        for folder in ("cluster", "here")
    ]
    assert made[0] == made[1]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "index.jsonl")
    for key in ("a", "b", "\udcff no UTF-8"):
        journal.append(key, {"name": key, "list": [1, 2.5, None]})
    return journal


def test_the_last_record_of_a_key_counts(journal):
    journal.append("a", {"name": "new"})
    records = Journal(journal.path).read()
    assert list(records) == ["a", "b", "\udcff no UTF-8"]
    assert records["a"] == {"name": "new"}
    assert records["\udcff no UTF-8"]["list"] == [1, 2.5, None]


def test_there_may_be_no_file(tmp_path):
    assert Journal(tmp_path / "none").read() == {}


def test_an_interrupted_line_costs_its_record_alone(journal):
    content = journal.path.read_bytes()
    for length in range(len(content) - 60, len(content)):
        journal.path.write_bytes(content[:length])
        journal.append("c", {"name": "c"})
        assert {"a", "b", "c"} <= set(journal.read())


def test_a_flipped_bit_costs_its_record_alone(journal):
    content = journal.path.read_bytes()
    for place in range(len(content)):
        journal.path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        records = journal.read()
        assert len(records) >= 1
        assert all(record["name"] == key for key, record in records.items())
