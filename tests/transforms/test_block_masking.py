"""Masked blocks: exactly the share, whole blocks of the grid, each equally often, and the mask that says where."""

import numpy as np
import pytest
import torch
from models_genesis_bundle.transforms import RandBlockMasking, RandBlockMaskingd
from monai.data import MetaTensor

CUBE = np.ones((2, 64, 64, 32), dtype=np.float32)


@pytest.mark.parametrize(("share", "masked"), [(0.6, 19), (0.75, 24), (0.01, 0), (0.02, 1), (0.98, 31), (0.99, 32)])
def test_whole_blocks_are_masked_exactly_that_many(share, masked):
    """4 x 4 x 2 blocks; round(share * 32) of them."""
    mask = RandBlockMasking(share=share, block_size=16).set_random_state(1)
    if masked in (0, 32):
        with pytest.raises(ValueError, match=f"{masked} of 32 blocks would be masked.*Use smaller blocks"):
            mask(CUBE)
        return
    blocks = mask(CUBE).reshape(2, 4, 16, 4, 16, 2, 16).transpose(0, 1, 3, 5, 2, 4, 6).reshape(2, 32, -1)
    assert np.all(blocks == blocks[:, :, :1]), "a block is masked as a whole"
    assert np.array_equal(blocks[0], blocks[1]), "all channels share the blocks"
    assert (blocks[0, :, 0] == 0).sum() == masked


def test_blocks_at_the_end_of_a_side_are_cut():
    masked = RandBlockMasking(share=0.5, block_size=(16, 8)).set_random_state(0)(np.ones((1, 24, 20)))
    assert [np.unique(part).size for part in (masked[0, 16:, 16:], masked[0, :16, :8], masked[0, 16:, 8:16])] == [1] * 3
    assert np.unique(masked).tolist() == [0, 1]


def test_each_block_is_masked_equally_often():
    """2 000 draws of 3 in 5 blocks, 0.6; four standard deviations."""
    mask = RandBlockMasking(share=0.6, block_size=4).set_random_state(0)
    often = np.mean([mask(np.ones((1, 20, 4)))[0, ::4, 0] == 0 for _ in range(2000)], axis=0)
    assert np.abs(often - 0.6).max() < 4 * np.sqrt(0.6 * 0.4 / 2000)


def test_the_twin_says_where():
    for image in (CUBE, torch.from_numpy(CUBE), MetaTensor(CUBE)):
        result = RandBlockMaskingd("image", fill=0.25).set_random_state(0)({"image": image})
        mask = result["mask"]
        assert type(mask) is type(image)
        assert mask.shape == (1, 64, 64, 32)
        assert mask.dtype in (bool, torch.bool)
        assert bool((result["image"][:, np.asarray(mask)[0]] == 0.25).all())
        assert bool((result["image"][:, ~np.asarray(mask)[0]] == 1).all())
    assert not RandBlockMaskingd("image", prob=0.0)({"image": CUBE})["mask"].any()
    assert "mask" not in RandBlockMaskingd("image", allow_missing_keys=True)({"other": CUBE})


@pytest.mark.parametrize("arguments", [{"share": 0}, {"share": 1}, {"block_size": 0}, {"block_size": (8, 0, 8)}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RandBlockMasking(**arguments)


def test_another_number_of_sides_than_axes_is_refused():
    with pytest.raises(ValueError, match="block_size: expected one value or 3, one for each axis, found"):
        RandBlockMasking(block_size=(8, 8))(np.zeros((1, 16, 16, 16), np.float32))
