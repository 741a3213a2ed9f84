"""Cutting of the cubes of many scans, with several processes, into the files of a cube store.

The work stands in a folder inside the store's: one part for each scan, so that an interrupted extraction goes on where
it stopped. At the end the parts become one array; the index is moved into place last, and with it the store appears.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing
from models_genesis_bundle.data.scans.scan_error import ScanError
from models_genesis_bundle.data.volumes.cube_array import write_array
from models_genesis_bundle.data.volumes.cube_index import INDEX_NAME
from models_genesis_bundle.data.volumes.cube_places import CubePlaces
from models_genesis_bundle.data.volumes.scan_task import ScanTask
from models_genesis_bundle.files import remove_unfinished, write_json

__all__ = ["extract_cubes"]

logger = logging.getLogger(__name__)

_WORK_NAME = ".extracting"
_PLAN_NAME = "plan.json"
_FREE_BYTES_KEPT = 2**20


def extract_cubes(
    directory: Path,
    places: Sequence[CubePlaces],
    preprocessing: ScanPreprocessing,
    settings: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    num_workers: int,
    on_unreadable: str,
) -> None:
    """Extract the cubes of all scans and put the store's two files into place; the caller holds the store's lock.

    Args:
        directory: the store's folder.
        places: for each scan, where its cubes lie.
        preprocessing: steps from the file to the scaled scan.
        settings: what the store is made with; needs ``seed`` and ``dtype``.
        sources: for each scan its ``image``, ``patient``, ``size`` and ``mtime_ns``, kept in the index.
        num_workers: processes; 0 works in this one.
        on_unreadable: ``"skip"`` leaves an unreadable scan out, ``"raise"`` stops at it.

    Raises:
        ScanError: an unreadable scan, with ``"raise"``.
        ValueError: no cube at all, with the reasons.
        OSError: too little space on the disk.
        RuntimeError: a worker process was killed.
    """
    work = directory / _WORK_NAME
    _prepare_work_folder(work, {"settings": settings, "sources": list(sources)})
    tasks = [
        ScanTask(
            image=source["image"],
            patient=source["patient"],
            part=work / f"{number:06d}",
            preprocessing=preprocessing,
            places=places[number],
            seed=settings["seed"],
            dtype=settings["dtype"],
        )
        for number, source in enumerate(sources)
    ]
    records = {n: _read_record(task.part) for n, task in enumerate(tasks) if task.part.with_suffix(".json").exists()}
    if records:
        logger.info("An interrupted extraction goes on: %d of %d scans are there.", len(records), len(tasks))
    missing = [number for number in range(len(tasks)) if number not in records]
    _check_free_space(directory, [places[number] for number in missing], settings["dtype"])
    cubes = sum(len(record["corners"]) for record in records.values())
    with tqdm(total=len(tasks), initial=len(records), desc="Extracting cubes", unit="scan") as progress:
        for number, record in _run_tasks(tasks, missing, num_workers):
            if record.get("unreadable") and on_unreadable == "raise":
                remedy = record["reason"][len(record["found"]) + 1 :]
                raise ScanError(tasks[number].image, record["found"], remedy)
            records[number] = record
            cubes += len(record.get("corners", ()))
            progress.set_postfix(cubes=cubes)
            progress.update()
    _publish(directory, work, records, settings, sources)


def _prepare_work_folder(work: Path, plan: Mapping[str, Any]) -> None:
    """Keep the parts of an interrupted extraction with the same plan, clear away any other."""
    plan_file = work / _PLAN_NAME
    try:
        same = json.loads(plan_file.read_text(encoding="utf-8")) == plan
    except (OSError, ValueError):
        same = False
    if not same:
        if work.exists():
            logger.info("%s: what an interrupted extraction with other settings or sources left is removed.", work)
            shutil.rmtree(work)
        work.mkdir(parents=True)
        write_json(plan_file, plan)
    remove_unfinished(work)


def _read_record(part: Path) -> dict[str, Any]:
    return json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))


def _check_free_space(directory: Path, places: Sequence[CubePlaces], dtype: str) -> None:
    voxels = sum(place.count * math.prod(place.cube_size) for place in places)
    needed = voxels * np.dtype(dtype).itemsize + _FREE_BYTES_KEPT
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"The cubes need up to {needed / 2**20:.0f} MiB in {directory}, {free / 2**20:.0f} MiB are free. "
            "Free some space, put the store elsewhere, or take fewer cubes of a scan",
        )


def _run_tasks(
    tasks: Sequence[ScanTask], numbers: Sequence[int], num_workers: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    workers = min(num_workers, len(numbers))
    if workers < 1:
        for number in numbers:
            yield number, tasks[number].run()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        futures: dict[Future, int] = {pool.submit(tasks[number].run): number for number in numbers}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "A process that extracts cubes was killed, most likely for want of memory. Lower num_workers and run "
                "again: the scans that are done are kept."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Use one thread, and end with the parent even when that is killed."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _publish(
    directory: Path,
    work: Path,
    records: Mapping[int, Mapping[str, Any]],
    settings: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
) -> None:
    used = [number for number in sorted(records) if "corners" in records[number]]
    index_sources = [dict(source) for source in sources]
    for number, record in records.items():
        if "corners" in record:
            index_sources[number] |= {"spacing": record["spacing"], "padded": record["padded"]}
        else:
            index_sources[number] |= {name: value for name, value in record.items() if name != "found"}
    if not used:
        reasons = "\n".join(f"  {source['image']}: {source['reason']}" for source in index_sources)
        raise ValueError(f"None of the {len(records)} scans gave a cube:\n{reasons}")
    total = sum(len(records[number]["corners"]) for number in used)
    shape = (total, *records[used[0]]["shape"])
    digest = hashlib.sha256(json.dumps([settings, index_sources], sort_keys=True).encode()).hexdigest()
    cubes_name = f"cubes-{digest[:16]}.npy"
    gathered = work / cubes_name
    write_array(gathered, _consume_parts(work, used), shape, settings["dtype"])
    index = {
        "settings": dict(settings),
        "cubes_file": cubes_name,
        "cubes_bytes": gathered.stat().st_size,
        "shape": list(shape),
        "sources": index_sources,
        "cubes": [{"source": number, "corner": corner} for number in used for corner in records[number]["corners"]],
    }
    write_json(work / INDEX_NAME, index)
    os.replace(gathered, directory / cubes_name)
    os.replace(work / INDEX_NAME, directory / INDEX_NAME)
    for stale in directory.glob("cubes-*.npy"):
        if stale.name != cubes_name:
            stale.unlink()
    shutil.rmtree(work)


def _consume_parts(work: Path, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Give the parts' cubes one by one and remove each part after its use, so that the disk holds them hardly twice."""
    for number in numbers:
        part = work / f"{number:06d}"
        cubes = np.load(part.with_suffix(".npy"), mmap_mode="r")
        yield from (np.array(cube) for cube in cubes)
        del cubes
        part.with_suffix(".json").unlink()
        part.with_suffix(".npy").unlink()
