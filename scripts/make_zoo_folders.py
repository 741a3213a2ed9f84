"""Make the folders to publish from an archive: python scripts/make_zoo_folders.py --archive dist/NAME_v0.1.0.zip --owner OWNER"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import yaml
from bundle_path import ROOT, start
from models_genesis_bundle.files import file_sha256

UNIT_TESTS = ROOT / "tests" / "package" / "zoo"
CARD = {"license": "apache-2.0", "library_name": "monai", "tags": ["monai", "medical", "self-supervised", "ct", "mr"]}


def make_zoo_folders(archive: str, owner: str, output_dir: str = "dist") -> None:
    """Write the bundle as a repository of the Hugging Face Hub, and as a pull request to the MONAI model zoo.

    The pull request does not contain the weights: the zoo downloads them from the Hub, by their address and SHA-256.

    Args:
        archive: ``<name>_v<version>.zip``, written by ``make_archive.py``.
        owner: owner of the repository on the Hub; the repository has the bundle's name, and the version as a tag.
        output_dir: folder for ``hub`` and ``model-zoo``, which must not exist.
    """
    name, _, version = Path(archive).stem.rpartition("_v")
    hub, zoo = Path(output_dir, "hub"), Path(output_dir, "model-zoo")
    if there := [folder for folder in (hub, zoo) if folder.exists()]:
        sys.exit(f"{there[0]}: this folder exists already. Remove it, or name another --output_dir.")
    with zipfile.ZipFile(archive) as file:
        file.extractall(zoo / "models")
    bundle = zoo / "models" / name
    shutil.copytree(bundle, hub)
    card = hub / "README.md"
    card.write_text(f"---\n{yaml.safe_dump(CARD, sort_keys=False)}---\n{card.read_text(encoding='utf-8')}", "utf-8")
    large_files = []
    for weights in sorted(bundle.glob("models/*.pt")):
        path = weights.relative_to(bundle).as_posix()
        url = f"https://huggingface.co/{owner}/{name}/resolve/{version}/{path}"
        large_files.append({"path": path, "url": url, "hash_val": file_sha256(weights), "hash_type": "sha256"})
        weights.unlink()
    (bundle / "large_files.yml").write_text(yaml.safe_dump({"large_files": large_files}, sort_keys=False))
    (zoo / "ci" / "unit_tests").mkdir(parents=True)
    for kind in ("", "_dist"):
        shutil.copy(UNIT_TESTS / f"bundle{kind}.py", zoo / "ci" / "unit_tests" / f"test_{name}{kind}.py")
    print(f"{hub}: upload it as {owner}/{name}, tagged {version}\n{zoo}: copy it over a checkout of the model zoo")


if __name__ == "__main__":
    start(make_zoo_folders)
