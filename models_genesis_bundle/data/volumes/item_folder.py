"""A folder of files that are made from source files, and made again if the source or the settings change."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
from filelock import AcquireReturnProxy, FileLock, Timeout
from joblib.externals.loky.process_executor import TerminatedWorkerError
from models_genesis_bundle.files import write_json
from tqdm import tqdm

logger = logging.getLogger(__name__)

Record = dict[str, Any]
Job = Callable[[], Record]

_START = time.time()
_IDLE_SECONDS = 10  # a process without work ends after this time


class Journal:
    """Records by key in a text file that only grows.

    Each line has the CRC-32 of a record and the record as JSON. Damaged lines are ignored. The last line of a key is valid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Record]:
        """All records by key."""
        records = {}
        if self.path.exists():
            for line in self.path.read_bytes().split(b"\n"):
                checksum, _, text = line.partition(b" ")
                if checksum == b"%08x" % zlib.crc32(text):
                    key, records[key] = json.loads(text)
        return records

    def append(self, key: str, record: Mapping[str, Any]) -> None:
        """Add or replace the record of a key; an `OSError` names the file."""
        text = json.dumps([key, record], separators=(",", ":")).encode()
        try:
            with open(self.path, "ab") as file:
                file.write(b"\n%08x %s\n" % (zlib.crc32(text), text))  # the first newline ends an interrupted line
        except OSError as error:
            raise OSError(error.errno, f"{self.path} could not be written: {error.strerror or error}") from error


class ItemFolder:
    """Items that were made with the same settings, and a journal of them.

    The folder's name ends with a hash of the settings, so that other settings have another folder. The folder contains
    ``settings.json``, ``index.jsonl`` (see `Journal`) and the items' files.
    """

    def __init__(self, parent: Path, name: str, settings: Mapping[str, Any], suffix: str) -> None:
        text = json.dumps(settings, sort_keys=True)
        self.name, self.suffix = name, suffix
        self.folder = parent / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.settings = json.loads(text)
        self.journal = Journal(self.folder / "index.jsonl")

    def path(self, key: str) -> str:
        """The file of an item, in one of 256 folders; not a `Path`, which is slow for a hundred thousand items."""
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:24]
        return f"{self.folder}{os.sep}{name[:2]}{os.sep}{name}{self.suffix}"

    def open_or_make(
        self, wanted: Mapping[str, str], job: Callable[[str], Job], num_workers: int, scheduler: str | None
    ) -> dict[str, Record]:
        """Make the items that are missing, incomplete or outdated, and return the records of all items.

        After an interruption, finished items are kept. If two processes use the same folder, one waits for the other.

        Args:
            wanted: fingerprint of each item's source, by key.
            job: for a key, a small picklable function that makes the file and returns its record, with the size of the file as
                ``bytes`` (0 without a file). If the record has ``unreadable``, every run tries the item again.
            num_workers: see `run_jobs`.
            scheduler: see `run_jobs`.
        """
        records = self._fitting(wanted)
        if len(records) < len(wanted):
            with self._locked():
                write_json(self.folder / "settings.json", self.settings)
                records = self._fitting(wanted)
                missing = [key for key in wanted if key not in records]
                if records and missing:
                    logger.info("%s: %d of %d exist already.", self.folder, len(records), len(wanted))
                jobs = ((key, job(key)) for key in missing)
                sizes: list[int] = []
                with tqdm(
                    total=len(wanted), initial=len(records), desc=f"Preparing {self.name}", unit="scan"
                ) as progress:
                    for key, made in run_jobs(jobs, min(num_workers, len(missing)), scheduler):
                        records[key] = self._keep(key, wanted[key], made)
                        sizes.append(made["bytes"])
                        self._require_space(sizes, len(missing) - len(sizes))
                        progress.update()
        return {key: records[key] for key in wanted}

    def make_again(self, key: str, fingerprint: str, job: Job) -> Record:
        """Replace a damaged item and return its new record."""
        with self._locked():
            return self._keep(key, fingerprint, job())

    def _keep(self, key: str, fingerprint: str, made: Record) -> Record:
        record = {"fingerprint": fingerprint, "time": time.time(), **made}
        self.journal.append(key, record)
        return record

    def _fitting(self, wanted: Mapping[str, str]) -> dict[str, Record]:
        known = self.journal.read()
        return {
            key: record
            for key, fingerprint in wanted.items()
            if (record := known.get(key)) and record["fingerprint"] == fingerprint and self._is_usable(key, record)
        }

    def _is_usable(self, key: str, record: Record) -> bool:
        if "unreadable" in record:
            return record["time"] >= _START or not os.access(self.folder, os.W_OK)
        try:
            return not record["bytes"] or os.stat(self.path(key)).st_size == record["bytes"]
        except OSError:
            return False

    def _require_space(self, sizes: Sequence[int], left: int) -> None:
        needed, free = left * sum(sizes) / len(sizes), shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"{self.folder}: {left} more {self.name} need about {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are "
                "free. Free some space, or set another cache_dir; finished files are kept",
            )

    def _locked(self) -> AcquireReturnProxy:
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return lock.acquire(blocking=False)
        except Timeout:
            logger.info("%s: waiting for another process that is writing to this folder.", self.folder)
            return lock.acquire()
        except OSError as error:
            reason = f"{self.folder} cannot be written: {error.strerror}. Make it writable, or set another cache_dir"
            raise OSError(error.errno, reason) from error


def run_jobs(
    jobs: Iterable[tuple[str, Job]], num_workers: int, scheduler: str | None = None
) -> Iterator[tuple[str, Record]]:
    """Run picklable jobs, and yield their keys and results in any order.

    Args:
        jobs: keys and functions.
        num_workers: number of processes on this machine; with 0 or 1, this process does the work.
        scheduler: address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, to use its workers instead. They need this
            package and the same files. If a worker dies, another worker repeats its work.
    """
    with ExitStack() as stack:
        if scheduler is None:
            loky = {"idle_worker_timeout": _IDLE_SECONDS, "initializer": _end_with_parent}
            stack.enter_context(joblib.parallel_config("loky", n_jobs=max(1, num_workers), **loky))
        else:
            stack.enter_context(_dask_client(scheduler))
            stack.enter_context(joblib.parallel_config("dask"))
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        try:
            yield from parallel(joblib.delayed(_run_keyed)(key, job) for key, job in jobs)
        except TerminatedWorkerError as error:
            raise RuntimeError(
                "A process that prepares data was killed, most likely because memory ran out. Use fewer processes "
                "(volumes::num_workers) and start again; finished files are kept."
            ) from error


def _run_keyed(key: str, job: Job) -> tuple[str, Record]:
    return key, job()


def _end_with_parent() -> None:
    """End this process when its parent ends or is killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _dask_client(scheduler: str) -> Any:
    try:
        from dask.distributed import Client
    except ImportError as error:
        install = "pip install 'models-genesis-bundle[distributed]'"
        raise ImportError(f"scheduler={scheduler} needs Dask: {install}.") from error
    return Client(scheduler, timeout="30s")
