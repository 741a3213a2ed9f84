"""Make the archive that the model zoo hosts: python scripts/make_archive.py --output_dir dist"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from bundle_path import ROOT, start
from models_genesis_bundle import __version__
from models_genesis_bundle.files import file_sha256, whole_file
from models_genesis_bundle.weights import CheckpointError, read_weights
from monai.bundle import ConfigParser

NAME = "models_genesis_ct_pretraining"  # in the zoo: task and data
WEIGHTS = "models/model.pt"
ALL_WEIGHTS = "models/*.pt"

FOLDERS = ("configs/", "docs/", "models_genesis_bundle/", "scripts/")
FILES = ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "large_files.yml")
FOR_MAKERS = (
    "docs/hooks.py",
    "docs/site.css",
    "scripts/make_archive.py",
    "scripts/make_zoo_folders.py",
    "scripts/plot_overview.py",
)
TWINS = {  # JSON files for `monai.bundle.load`, `MonaiAlgo` and the zoo's checks, which read no YAML by default
    "configs/train.json": "configs/finetune_segmentation.yaml",
    "configs/inference.json": "configs/inference.yaml",
    "configs/evaluate.json": "configs/evaluate.yaml",
    "configs/multi_gpu_train.json": "configs/multi_gpu.yaml",
    "configs/inference_trt.json": "configs/inference_trt.yaml",
}

TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest possible in a ZIP file
REGULAR_FILE = 0o100644 << 16


def make_archive(output_dir: str = "dist", weights: str = WEIGHTS, allow_uncommitted: bool = False) -> Path:
    """Write ``models_genesis_ct_pretraining_v<version>.zip`` with all files in git that users of the bundle need.

    The same commit gives the same bytes: the entries are sorted and stored without compression (which differs between versions of
    zlib), with the same timestamp and permissions. Links become real files.

    Args:
        output_dir: folder for the archive, created if missing.
        weights: the file that becomes ``models/model.pt``, relative to the repository.
        allow_uncommitted: true: use the working tree, including new files that git does not ignore.

    Returns:
        The archive's path.
    """
    listed = _listed(allow_uncommitted)
    entries = {name: (ROOT / name).read_bytes() for name in listed if _is_for_users(name)}
    entries |= {twin: _as_json(ROOT / source) for twin, source in TWINS.items()}
    sources = {name: name for name in listed if fnmatch(name, ALL_WEIGHTS)} | {WEIGHTS: weights}
    entries |= {name: _read_weights(ROOT / source) for name, source in sources.items()}
    archive = Path(output_dir) / f"{NAME}_v{__version__}.zip"
    with whole_file(archive) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(f"{NAME}/{name}", TIMESTAMP)
            entry.create_system = 3  # Unix, on any machine
            entry.external_attr = REGULAR_FILE
            file.writestr(entry, entries[name])
    print(f"{archive}: {archive.stat().st_size / 2**20:.2f} MiB, sha256 {file_sha256(archive)}")
    return archive


def _listed(allow_uncommitted: bool) -> list[str]:
    """The files of the commit; with ``allow_uncommitted`` also new files that git does not ignore."""
    changes = _git("status", "--porcelain")
    if changes and not allow_uncommitted:
        sys.exit(
            f"{ROOT}: the archive is made from a commit, but these changes are not committed:\n{changes}\n"
            "Commit them, or try the archive with --allow_uncommitted True."
        )
    new = ("--others", "--exclude-standard") if allow_uncommitted else ()
    return [name for name in _git("ls-files", "--cached", *new).splitlines() if (ROOT / name).is_file()]


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{ROOT}: the archive is made from a git checkout, and git failed here ({error}).")


def _is_for_users(name: str) -> bool:
    return name in FILES or (name.startswith(FOLDERS) and name not in FOR_MAKERS)


def _as_json(source: Path) -> bytes:
    return json.dumps(ConfigParser.load_config_file(source), indent=4, ensure_ascii=False).encode() + b"\n"


def _read_weights(path: Path) -> bytes:
    if not path.is_file():
        sys.exit(
            f"{path}: the weights of the bundle do not exist. Write them with scripts/release_weights.py, or name "
            "another file with --weights."
        )
    read_weights(path)  # refuses a damaged file
    return path.read_bytes()


if __name__ == "__main__":
    start(make_archive, CheckpointError)
