import numpy as np
import pytest
import torch
from models_genesis_bundle.transforms import RandSequentialFlip, RandSequentialFlipd
from monai.data import MetaTensor
from monai.transforms import Compose, Flip

IMAGE = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)


def draws(count=4000, **arguments):
    transform = RandSequentialFlip(**arguments).set_random_state(0)
    for _ in range(count):
        transform.randomize(IMAGE)
        yield transform.flipped


def test_published_shares():
    """0, 1, 2, 3 flips with 0.6, 0.24, 0.096, 0.064; flips of the same axis cancel."""
    flipped = list(draws())
    none = np.mean([axes == () for axes in flipped])
    assert none == pytest.approx(0.6 + 0.096 / 3, abs=0.03)
    single = [np.mean([axes == (axis,) for axes in flipped]) for axis in range(3)]
    # One flip; or three of which two cancel: 7 of the 27 triples leave each axis alone.
    assert single == pytest.approx([0.24 / 3 + 0.064 * 7 / 27] * 3, abs=0.02)


def test_published_axes_leave_the_depth():
    flipped = list(draws(axes=(None, 0, 1)))
    assert not any(2 in axes for axes in flipped)
    assert {(0,), (1,), (0, 1), ()} == set(flipped)


def test_flips_the_axes_it_drew():
    transform = RandSequentialFlip(prob=1.0, max_flips=1).set_random_state(0)
    for _ in range(10):
        found = transform(IMAGE)
        (axis,) = transform.flipped
        assert np.array_equal(found, np.flip(IMAGE, axis + 1))
        assert found.flags["C_CONTIGUOUS"]


def scan() -> MetaTensor:
    affine = torch.tensor([[0.0, -2, 0, 5], [3, 0, 0, -7], [0, 0, 4, 11], [0, 0, 0, 1]])
    return MetaTensor(torch.from_numpy(IMAGE), affine=affine)


def test_a_scan_keeps_its_place_in_the_patient():
    """The affine of the flipped scan says where its voxels are, as MONAI's own flip does."""
    transform = RandSequentialFlip(prob=0.6).set_random_state(0)
    for _ in range(20):
        found = transform(scan())
        wanted = Flip(transform.flipped)(scan()) if transform.flipped else scan()
        assert torch.equal(found.affine, wanted.affine)
        assert torch.equal(found.as_tensor(), wanted.as_tensor())
    assert torch.equal(scan().as_tensor(), torch.from_numpy(IMAGE)), "the input stays"


def test_the_inverse_undoes_the_flips_that_were_recorded():
    """Whatever was drawn since; without a flip, too."""
    transform = RandSequentialFlip(prob=0.6).set_random_state(0)
    flipped = [transform(scan()) for _ in range(20)]
    assert len({tuple(one.applied_operations[-1]["extra_info"]["axes"]) for one in flipped}) > 4
    for one in flipped:
        back = transform.inverse(one)
        assert torch.equal(back.as_tensor(), scan().as_tensor())
        assert torch.equal(back.affine, scan().affine)
        assert back.applied_operations == []


def test_a_composition_is_inverted_for_each_key():
    compose = Compose(
        [RandSequentialFlipd(["image", "label"], prob=1.0, max_flips=1), RandSequentialFlipd("image", prob=1.0)]
    )
    compose.set_random_state(3)
    flipped = compose({"image": scan(), "label": scan(), "name": "a"})
    assert not torch.equal(flipped["image"].as_tensor(), flipped["label"].as_tensor())
    back = compose.inverse(flipped)
    for key in ("image", "label"):
        assert torch.equal(back[key].as_tensor(), scan().as_tensor())
        assert torch.equal(back[key].affine, scan().affine)
    assert back["name"] == "a"


def test_bad_arguments():
    with pytest.raises(ValueError, match="at least one axis"):
        RandSequentialFlip(axes=())
    with pytest.raises(ValueError, match="prob"):
        RandSequentialFlip(prob=1.5)
    with pytest.raises(ValueError, match="not all among the 2 axes"):
        RandSequentialFlip(axes=(2,))(IMAGE[:, 0])
