from __future__ import annotations

import os
import random

import numpy as np
import pytest
from models_genesis_bundle.data.volumes.volume_file import DamagedVolumeError, VolumeFile, write_volume

SHAPE = (1, 90, 80, 70)  # 27 chunks


@pytest.fixture
def voxels():
    voxels = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    voxels[:, :64, :, :64] = 0  # some chunks are constant, which Blosc2 stores without bytes
    return voxels


@pytest.fixture
def written(tmp_path, voxels):
    path = tmp_path / "volume.b2nd"
    size, ends = write_volume(path, voxels)
    assert size == path.stat().st_size
    return path, ends


def read_all(path, ends):
    return VolumeFile(path, ends).read((0, 0, 0), SHAPE[1:], 0.0)


def test_a_box_holds_the_voxels_in_float16(written, voxels):
    box = VolumeFile(*written).read((40, 3, 50), (40, 20, 20), 0.0)
    assert box.dtype == np.float32
    np.testing.assert_array_equal(box, voxels[:, 40:80, 3:23, 50:70].astype(np.float16))


def test_outside_of_the_volume_lies_the_fill_value(written, voxels):
    box = VolumeFile(*written).read((85, -2, 0), (10, 5, 4), -1.0)[0]
    np.testing.assert_array_equal(box[:5, 2:], voxels[0, 85:, :3, :4].astype(np.float16))
    assert (box[5:] == -1).all()
    assert (box[:, :2] == -1).all()
    assert (VolumeFile(*written).read((90, 0, 0), (2, 2, 2), -1.0) == -1).all()


def test_flat_images_and_several_channels(tmp_path):
    image = np.random.default_rng(0).random((2, 30, 20), dtype=np.float32)
    _, ends = write_volume(tmp_path / "flat.b2nd", image)
    box = VolumeFile(tmp_path / "flat.b2nd", ends).read((4, 5), (10, 10), 0.0)
    np.testing.assert_array_equal(box, image[:, 4:14, 5:15].astype(np.float16))


def test_any_flipped_bit_is_noticed(written):
    path, ends = written
    good = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        place = draw.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << draw.randrange(8)]) + good[place + 1 :])
        with pytest.raises(DamagedVolumeError, match=r"volume\.b2nd"):
            read_all(path, ends)
    path.write_bytes(good)
    read_all(path, ends)


@pytest.mark.parametrize("kept", [0, 100, 20_000, -1])
def test_a_truncated_file_is_noticed(written, kept):
    path, ends = written
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedVolumeError):
        read_all(path, ends)


def test_a_missing_file_is_noticed(written):
    os.unlink(written[0])
    with pytest.raises(DamagedVolumeError, match="cannot be opened"):
        VolumeFile(*written)


def test_a_read_checks_only_what_it_uses(written, voxels):
    """Damage in one chunk leaves the others readable: a volume of gigabytes is not read as a whole for one cube."""
    path, ends = written
    content = bytearray(path.read_bytes())
    content[2**12 + 2**13] ^= 1  # after the header and before what is read as the trailer
    path.write_bytes(content)
    file = VolumeFile(path, ends)
    np.testing.assert_array_equal(file.read((0, 0, 0), (8, 8, 8), 0.0), voxels[:, :8, :8, :8])
    with pytest.raises(DamagedVolumeError, match="has changed"):
        file.read((0, 0, 0), SHAPE[1:], 0.0)


def test_a_replaced_file_is_not_taken_for_the_one_that_was_checked(written, voxels):
    file = VolumeFile(*written)
    file.read((0, 0, 0), SHAPE[1:], 0.0)
    write_volume(written[0], 1 - voxels)
    file.release()
    with pytest.raises(DamagedVolumeError, match="replaced while it was in use"):
        file.read((0, 0, 0), (4, 4, 4), 0.0)
