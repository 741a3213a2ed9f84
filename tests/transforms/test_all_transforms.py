"""What every deformation keeps to, array and dictionary form alike."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from models_genesis_bundle import transforms
from models_genesis_bundle.data.sampling.seeded_dataset import SeededDataset
from monai.data import DataLoader, MetaTensor
from monai.transforms import Compose, OneOf

NAMES = (
    "RandLocalPixelShuffle",
    "RandNonlinearIntensity",
    "RandInPainting",
    "RandOutPainting",
    "RandSequentialFlip",
    "RandBlockMasking",
)
CUBE = np.random.default_rng(0).random((1, 24, 20, 18), dtype=np.float32)

every = pytest.mark.parametrize("name", NAMES)


def make(name, prob=1.0, seed=3, **arguments):
    keys = {"keys": "image"} if name.endswith("d") else {}
    return getattr(transforms, name)(**keys, prob=prob, **arguments).set_random_state(seed)


@every
def test_probability_zero_changes_nothing(name):
    transform, twin = make(name, prob=0.0), make(name + "d", prob=0.0)
    for _ in range(20):
        assert np.array_equal(transform(CUBE), CUBE)
        assert np.array_equal(twin({"image": CUBE})["image"], CUBE)


@every
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_the_result_is_float32_whether_or_not_it_is_deformed(name, dtype):
    image = CUBE.astype(dtype)
    for given, wanted in (
        (image, np.float32),
        (torch.from_numpy(image), torch.float32),
        (MetaTensor(image), torch.float32),
    ):
        for prob in (0.0, 1.0):
            results = make(name, prob)(given), make(name + "d", prob)({"image": given})["image"]
            assert [result.dtype for result in results] == [wanted, wanted]
            assert [type(result) for result in results] == [type(given)] * 2


@every
def test_input_stays_and_output_is_another_array(name):
    before = CUBE.copy()
    output = make(name)(CUBE)
    assert np.array_equal(before, CUBE)
    assert not np.shares_memory(output, CUBE)
    assert not np.array_equal(output, CUBE)


@every
def test_a_draw_can_be_applied_again(name):
    transform = make(name)
    first = transform(CUBE)
    assert np.array_equal(first, transform(CUBE, randomize=False))
    assert not np.array_equal(first, [transform(CUBE) for _ in range(4)])


@every
def test_a_seed_gives_the_same_cube_after_pickling(name):
    twin = pickle.loads(pickle.dumps(make(name)))
    assert np.array_equal(make(name)(CUBE), twin(CUBE))
    different = [np.array_equal(make(name, seed=seed)(CUBE), make(name)(CUBE)) for seed in range(10, 16)]
    assert not all(different)


@every
def test_kinds_of_arrays(name):
    wanted = make(name)(CUBE)
    assert np.array_equal(make(name)(torch.from_numpy(CUBE)).numpy(), wanted)
    assert make(name)(torch.from_numpy(CUBE).bfloat16()).dtype == torch.float32  # a type that numpy lacks
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0]))
    meta = make(name)(MetaTensor(CUBE, affine=affine, meta={"filename_or_obj": "scan.nii"}))
    assert meta.meta["filename_or_obj"] == "scan.nii"
    if name != "RandSequentialFlip":  # whose affine follows the flips
        assert torch.equal(meta.affine, affine.double())
    assert np.array_equal(meta.numpy(), wanted)
    assert np.array_equal(make(name)(CUBE.astype(np.float64)), wanted)
    assert np.array_equal(make(name)(np.asfortranarray(CUBE)), wanted)


@every
@pytest.mark.parametrize("shape", [(1, 24, 20), (3, 24, 20), (2, 24, 20, 18), (1, 18, 64, 33)])
def test_dimensions_and_channels(name, shape):
    image = np.random.default_rng(1).random(shape, dtype=np.float32)
    output = make(name)(image)
    assert output.shape == shape
    assert not np.array_equal(output, image)


@every
@pytest.mark.parametrize("shape", [(4, 4), (1, 0, 16, 16)])
def test_other_numbers_of_axes_are_refused(name, shape):
    with pytest.raises(ValueError, match=f"{name}: expected an image"):
        make(name)(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("name", ["RandLocalPixelShuffle", "RandInPainting", "RandOutPainting", "RandBlockMasking"])
def test_a_draw_is_refused_for_an_image_of_another_size(name):
    twin = getattr(transforms, name + "d")(keys=["image", "label"], prob=1.0)
    with pytest.raises(
        ValueError, match=r"the last deformation is for an image of \(24, 20, 18\) voxels, got \(18, 18, 18\)"
    ):
        twin({"image": CUBE, "label": CUBE[:, :18, :18]})


@every
def test_the_twin_draws_once_for_all_keys(name):
    twin = getattr(transforms, name + "d")(keys=["image", "label"], prob=1.0).set_random_state(5)
    result = twin({"image": CUBE, "label": CUBE, "name": "a"})
    assert np.array_equal(result["image"], result["label"])
    assert result["name"] == "a"
    assert not np.array_equal(result["image"], CUBE)
    with pytest.raises(KeyError):
        twin({"image": CUBE})
    lenient = getattr(transforms, name + "d")(keys=["image", "label"], prob=1.0, allow_missing_keys=True)
    assert "label" not in lenient({"image": CUBE})


def test_a_size_that_cannot_be_deformed_is_refused_by_the_name_of_the_setting():
    deform = Compose([transforms.RandOutPaintingd("image", prob=0.5)])
    message = r"^cube_size: cubes of \[16, 8\] voxels cannot be deformed. RandOutPainting: side 1"
    with pytest.raises(ValueError, match=message):
        transforms.require_deformable(deform, [16, 8])
    transforms.require_deformable(deform, [16, 16], channels=3)


def pipeline():
    twins = {name: getattr(transforms, name + "d") for name in NAMES}
    return Compose(
        [
            twins["RandSequentialFlip"]("image", prob=0.4),
            twins["RandLocalPixelShuffle"]("image", prob=0.5),
            twins["RandNonlinearIntensity"]("image", prob=0.9),
            OneOf([twins["RandInPainting"]("image"), twins["RandOutPainting"]("image")], weights=[0.2, 0.8]),
            twins["RandBlockMasking"]("image", prob=0.5),
        ]
    )


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_what_the_process_itself_gives(context):
    dataset = SeededDataset([{"image": CUBE}] * 6, pipeline(), seed=7)
    wanted = [dataset[index]["image"] for index in range(6)]
    assert len({cube.tobytes() for cube in wanted}) == 6
    loader = DataLoader(dataset, batch_size=1, num_workers=2, multiprocessing_context=context)
    found = [batch["image"][0].numpy() for batch in loader]
    for one, two in zip(wanted, found, strict=True):
        assert np.array_equal(one, two)


def test_the_published_mixture_of_painting():
    """0.9 × 0.2 in, 0.9 × 0.8 out, 0.1 none (published recipe); 3 000 draws, four standard deviations."""
    paint = OneOf([make("RandInPaintingd", 0.9), make("RandOutPaintingd", 0.9)], weights=[0.2, 0.8]).set_random_state(0)
    image = np.full((1, 18, 18), 2.0, dtype=np.float32)
    kept = np.array([(paint({"image": image})["image"] == 2).mean() for _ in range(3000)])
    for share, expected in (((kept == 1).mean(), 0.1), ((kept < 0.6).mean(), 0.72)):
        # A tenth of in-painting draws stop before the first window with probability 0.05 and change nothing.
        expected += 0.18 * 0.05 if expected == 0.1 else 0
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000) + 0.01
