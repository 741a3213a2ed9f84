import os
import re
import resource

import numpy as np
import pytest
import torch
from models_genesis_bundle.weights import CheckpointError, read_checkpoint, write_checkpoint


def test_round_trip(tmp_path):
    write_checkpoint({"epoch": 3, "model": {"w": torch.arange(4.0)}}, tmp_path / "new" / "a.pt")
    found = read_checkpoint(tmp_path / "new" / "a.pt")
    assert found["epoch"] == 3
    assert torch.equal(found["model"]["w"], torch.arange(4.0))
    assert os.listdir(tmp_path / "new") == ["a.pt"]
    again = write_checkpoint({"epoch": 3, "model": {"w": torch.arange(4.0)}}, tmp_path / "b.pt")
    assert again.read_bytes() == (tmp_path / "new" / "a.pt").read_bytes(), "whatever the file is called"


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    write_checkpoint({"epoch": 1}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"last\.pt: .* could not be written .* MiB are free .* is kept"):
            write_checkpoint({"epoch": 2, "model": torch.zeros(1_000_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(path) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path, kept):
    path = write_checkpoint({"model": torch.zeros(1000)}, tmp_path / "a.pt")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: int(kept if kept >= 1 else kept * size)])
    with pytest.raises(CheckpointError, match=r"a\.pt: "):
        read_checkpoint(path)


def test_a_checkpoint_that_wants_to_run_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (os.system, ("touch " + str(tmp_path / "harmed"),))

    torch.save({"model": Harm()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match=r"evil\.pt: refused"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "harmed").exists()


def test_missing_and_other_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="expected a mapping"):
        read_checkpoint(tmp_path / "list.pt")


@pytest.mark.parametrize("numpy_module", ["numpy._core", "numpy.core"], ids=["numpy 2", "numpy 1"])
def test_single_numbers_of_numpy_are_read(tmp_path, numpy_module):
    """Trainers keep losses so; the two major versions of NumPy call the function that builds a number by two names."""
    numbers = [np.float64(0.5), np.float32(0.25), np.int64(3), np.bool_(True)]
    torch.save({"losses": numbers}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pt").read_bytes()
    own = np.float64(0).__reduce__()[0].__module__.removesuffix(".multiarray").encode()
    assert own in content
    (tmp_path / "a.pt").write_bytes(content.replace(own + b".multiarray", numpy_module.encode() + b".multiarray"))
    assert read_checkpoint(tmp_path / "a.pt") == {"losses": numbers}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(np.zeros(3), "numpy._core.multiarray._reconstruct"), (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear")],
)
def test_what_more_a_file_wants_is_named(tmp_path, value, wanted):
    torch.save({"value": value}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=rf"a\.pt: refused, because loading it would run {re.escape(wanted)}"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"epoch": 3}, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(tmp_path / "a.pt") == {"epoch": 3}
