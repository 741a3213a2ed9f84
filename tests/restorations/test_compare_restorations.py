"""A page for tiny networks that nobody trained: what it holds, that all get the same cubes, and what is refused."""

from __future__ import annotations

import base64
import io
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import compare_restorations as script
import fire
import numpy as np
import pytest
import torch
import yaml
from matplotlib.image import imread
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.restorations import compare_restorations
from models_genesis_bundle.restorations.page import Column, Group, _tables
from models_genesis_bundle.restorations.reading import (
    KINDS,
    WHOLE,
    cube_codes,
    deformed_cubes,
    turned,
    turned_back,
    upright_window,
)
from models_genesis_bundle.restorations.restorer import FeatureColours
from models_genesis_bundle.weights import CheckpointError, write_weights
from monai.networks.nets import BasicUNet

SIZE = (16, 16, 16)
CPU = torch.device("cpu")
BASIC = {"spatial_dims": 3, "in_channels": 1, "out_channels": 1, "features": (4, 4, 4, 4, 4, 4)}


def written(path: Path, network: torch.nn.Module | None = None, **records) -> Path:
    preprocessing = records.pop("preprocessing", ScanPreprocessing())
    torch.manual_seed(0)
    network = network or GenesisUNet(features=(4, 8))
    record = {} if preprocessing is None else {"preprocessing": preprocessing.record()}
    return write_weights(path, network, cube_size=list(SIZE), **record, **records)


@pytest.fixture(scope="module")
def image(phantoms) -> Path:
    return phantoms / "images" / "phantom_000.nii.gz"


def compare(root, image, weights, output, **settings) -> str:
    settings = {"cubes": 2, "config_file": root / "configs" / "pretrain.yaml", **settings}
    return compare_restorations(weights, output, image, **settings).read_text()


def table(page: str, title: str) -> dict[str, list[str]]:
    """By deformation, the values of one of the tables."""
    lines = re.search(rf"<h3>{title}.*?</table>", page, re.DOTALL).group()
    cells = [re.findall(r"<t[hd]>(?:<b>)?(.*?)(?:</b>)?</t[hd]>", line) for line in lines.split("<tr>")[1:]]
    return {row[0]: row[1:] for row in cells}


def test_the_page_shows_every_file_and_random_weights(root, image, tmp_path):
    """The second file is of the mirrored network and reads scans along mirrored axes: it restores exactly the same."""
    network = GenesisUNet(features=(4, 8)).eval()
    first = written(tmp_path / "first.pt", network)
    mirrored = {key: value.flip((2, 3)) if value.dim() == 5 else value for key, value in network.state_dict().items()}
    network.load_state_dict(mirrored)
    second = written(
        tmp_path / "second.pt", network, preprocessing=ScanPreprocessing(orientation="LPS"), pretext="masked"
    )
    output = tmp_path / "new" / "page.html"
    page = compare(root, image, {"<first>": first, "second": second}, output)

    assert "&lt;first&gt;" in page
    assert "pretext masked" in page
    assert "different preprocessings" not in page  # one original for both
    found = table(page, "Mean squared error")
    assert found.pop("deformation") == ["deformed", "&lt;first&gt;", "second", "random weights"]
    assert list(found) == list(KINDS)
    assert found["none"][0] == "0.0000"
    for _, one, two, random in found.values():
        assert one == two
        assert float(one) != float(random)
    assert table(page, "Peak signal-to-noise")["none"][0] == "∞"
    assert table(page, "Structural similarity")["none"][0] == "1.000"
    pictures = re.findall(r'base64,([^"]*)" alt="([^"]*)"', page)
    assert len(pictures) == 1 + 4 + (2 + len(KINDS) - 2) * (
        2 + 4 * 4
    )  # scale, features, rows of original and four pairs
    by_name = {name: imread(io.BytesIO(base64.b64decode(text))) for text, name in pictures}
    assert by_name["original, axial"].shape[:2] == SIZE[:2]
    assert by_name["features of second"].shape[:2] == (64, 64)
    assert np.ptp(by_name["features of second"][..., :3]) > 0.5


def test_files_that_read_scans_otherwise_have_an_original_of_their_own(root, image, tmp_path):
    weights = {
        "window": written(tmp_path / "a.pt"),
        "coarse": written(
            tmp_path / "b.pt", preprocessing=ScanPreprocessing(intensity=IntensityScaling("zscore"), spacing=8)
        ),
    }
    page = compare(root, image, weights, tmp_path / "page.html", cubes=1, stage=1)
    assert "use 2 different preprocessings" in " ".join(page.split())
    assert "zscore, 8 x 8 x 8 mm, RAS" in page
    assert table(page, "Mean squared error")["deformation"] == [
        "deformed (1)",
        "window (1)",
        "random weights (1)",
        "deformed (2)",
        "coarse (2)",
    ]


def test_the_best_of_each_preprocessing_is_marked_only_if_it_is_better_than_its_input():
    def group(deformed: float, *networks: float) -> Group:
        """A group whose cubes differ from the original by these values."""
        clean = torch.zeros(1, 1, *SIZE)
        by_kind = lambda error: {kind: clean + error * (kind != "none") for kind in KINDS}  # noqa: E731
        columns = [Column(SimpleNamespace(name="any"), by_kind(error), clean, 1.0) for error in networks]
        return Group(clean, by_kind(deformed), [1.0] * 3, clean[0], 0, columns)

    for _, _, rows in _tables([group(0.2, 0.3, 0.25), group(0.5, 0.4, 0.6), group(0.1, 0.1)]):
        marked = {kind: [best for _, best in values] for kind, values in rows}
        assert not any(marked.pop("none"))
        assert all(found == [False, False, False, False, True, False, False, False] for found in marked.values())


def test_another_network_is_built_from_its_run(root, image, tmp_path):
    weights = written(tmp_path / "basic.pt", BasicUNet(**BASIC), output_activation="sigmoid")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"network_def": {"_target_": "BasicUNet", **BASIC, "features": [4] * 6}}))
    page = compare(
        root,
        image,
        {"basic": weights},
        tmp_path / "page.html",
        network_configs={"basic": config},
        cubes=1,
        cube_size=(32, 32, 32),
    )
    assert "BasicUNet" in page
    with pytest.raises(CheckpointError, match=r"basic\.pt: its network is BasicUNet, .* --network_configs"):
        compare(root, image, {"basic": weights}, tmp_path / "page.html")


@pytest.mark.parametrize(("codes", "window"), [("LPS", (2, 3, 4)), ("SPL", (4, 3, 2)), ("RAS", (2, 3, 4))])
def test_axes_are_turned_and_turned_back(codes, window):
    array = torch.rand(1, 1, 2, 3, 4)
    assert upright_window(codes, window) == (2, 3, 4)
    assert turned(array, codes).shape[2:] == window
    assert torch.equal(turned_back(turned(array, codes), codes), array)
    if codes == "SPL":  # the voxel lowest, at the front and at the right comes first
        assert turned(array, codes)[0, 0, 0, 0, 0] == array[0, 0, -1, -1, 0]
    assert cube_codes(codes, (2, 3, 1)) == codes.replace("S", "")


@pytest.mark.parametrize("shape", [(2, 1, 32, 32, 16), (2, 1, 32, 32)])
def test_each_deformation_alone(root, shape):
    cubes = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    config_file = str(root / "configs" / "pretrain.yaml")
    found = deformed_cubes(cubes, config_file, seed=3)
    assert torch.equal(found["none"], cubes)
    assert torch.isin(found["local shuffling"], cubes).all()
    assert not torch.equal(found["local shuffling"], cubes)
    kept = {kind: float((found[kind] == cubes).float().mean()) for kind in KINDS}
    assert kept["out-painting"] < 0.6 < kept["in-painting"] < 1
    again = deformed_cubes(cubes, config_file, seed=3)
    assert all(torch.equal(found[kind], again[kind]) for kind in KINDS)
    assert not torch.equal(found[WHOLE], deformed_cubes(cubes, config_file, seed=4)[WHOLE])


def test_colours_of_one_window_are_the_components_of_its_map():
    torch.manual_seed(0)
    network, cubes = GenesisUNet(features=(4, 8)).eval(), torch.rand(2, 1, *SIZE)
    colours = FeatureColours(network, cubes, stage=1, device=CPU)
    assert 0 < colours.share <= 1
    with torch.no_grad():
        scores = colours.pca.transform(network.encode(cubes[:1])[0][0].flatten(1).T.numpy())
    expected = np.clip((scores - colours.low) / (colours.high - colours.low), 0, 1).T.reshape(3, *SIZE)
    np.testing.assert_allclose(colours(cubes[:1])[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("records", "settings", "text"),
    [
        ({"label_names": ["liver"]}, {}, r"a\.pt: the file is from a segmentation .* does not restore scans"),
        ({"preprocessing": None}, {}, r"a\.pt: the file has no record of its preprocessing"),
        (
            {"network": GenesisUNet(features=(4, 8), out_channels=2)},
            {},
            r"a: expected an output of the shape .* found \(2, 16, 16, 16\)",
        ),
        ({}, {"stage": 3}, r"a: stage: expected one of the encoder's stages 1 … 2, found 3"),
        ({}, {"cube_size": (16, 16)}, r"cube_size: expected 3 sides, found \[16, 16\]"),
        ({}, {"cube_size": (15, 16, 16)}, r"a: cube_size: GenesisUNet cannot take \[15, 16, 16\]"),
        ({}, {"device": "gpu"}, "device: expected a device of this machine, such as cpu or cuda:0, found 'gpu': "),
        ({}, {"device": "cuda:99"}, "device: expected a device of this machine.*, found 'cuda:99': "),
        ({}, {"cubes": 0}, r"cubes: expected 1 or more, found 0"),
        ({}, {"network_configs": {"b": "c.yaml"}}, r"network_configs: expected names from a, found b"),
    ],
)
def test_what_cannot_be_shown_is_refused(root, image, tmp_path, records, settings, text):
    weights = written(tmp_path / "a.pt", **records)
    with pytest.raises((CheckpointError, ValueError), match=text):
        compare(root, image, {"a": weights}, tmp_path / "page.html", **settings)
    assert not (tmp_path / "page.html").exists()


def test_2d_and_3d_networks_do_not_meet(root, image, tmp_path):
    network = GenesisUNet(spatial_dims=2, features=(4, 8))
    weights = write_weights(
        tmp_path / "flat.pt", network, cube_size=[16, 16], preprocessing=ScanPreprocessing().record()
    )
    with pytest.raises(
        ValueError, match=r"flat: its network takes 2D cubes of 3D scans, but the network of cube takes 3D cubes of 3D"
    ):
        compare(root, image, {"cube": written(tmp_path / "cube.pt"), "flat": weights}, tmp_path / "page.html")
    page = compare(root, image, {"flat": weights}, tmp_path / "page.html", cubes=1)
    assert "1 cubes of 16 x 16 voxels" in page


def test_the_script_takes_lists_and_names_what_is_wrong(phantoms, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(script, "compare_restorations", lambda files, *rest: seen.update(files=files) or "page.html")
    for given, files in (
        ("a.pt", ["a.pt"]),
        ("[a.pt, runs/b.pt]", ["a.pt", "runs/b.pt"]),
        ("{mine: a.pt}", {"mine": "a.pt"}),
        ("['a.pt']", ["a.pt"]),
    ):
        fire.Fire(script.compare, ["--weights", given])
        assert seen["files"] == files
    monkeypatch.undo()

    def ends(**settings):
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        monkeypatch.setattr(sys, "argv", ["compare_restorations.py", *words])
        with pytest.raises(SystemExit) as raised:
            runpy.run_path(script.__file__, run_name="__main__")
        return str(raised.value)

    assert "such.pt: expected a weight file" in ends(weights=tmp_path / "such.pt")
    weights = written(tmp_path / "a.pt")
    assert re.search(
        r"scan: expected one scan, found 4 in .*images. Give one of them",
        ends(weights=weights, scan=phantoms / "images", device="cpu"),
    )
    assert ends(weights=weights, device="gpu").startswith("device: expected a device of this machine")
    assert "output: expected a path for the HTML file, found the folder" in ends(
        weights=weights, output=tmp_path, device="cpu"
    )
