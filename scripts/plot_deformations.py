"""Draw the deformations: python scripts/plot_deformations.py --image SCAN --output gallery.png"""

import tempfile
from pathlib import Path

from bundle_path import start
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing, make_phantoms
from models_genesis_bundle.visualize import draw_cube, gallery_figure, save_figure


def plot(
    image: str | None = None,
    output: str = "gallery.png",
    cube_size: tuple[int, int, int] = (64, 64, 32),
    pairs: int = 4,
    seed: int = 0,
    config_file: str = "configs/pretrain.yaml",
) -> str:
    """Draw a cube of a CT, each deformation of it, and cubes after the whole recipe.

    Args:
        image: the scan, in HU; by default a phantom.
        output: the PNG.
        cube_size: sides of the cube in voxels.
        pairs: number of cubes after the whole recipe.
        seed: random seed of the cube's place and of the deformations.
        config_file: the pretraining configuration that defines the recipe.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = image or str(next((make_phantoms(folder, count=1, seed=seed) / "images").iterdir()))
        scan = ScanPreprocessing(intensity=IntensityScaling())({"image": path})["image"].numpy()
    cube = draw_cube(scan, IntensityScaling(), cube_size, seed)
    recipe = genesis_pairs([{"image": cube}] * pairs, config_file, seed)
    deformed = [recipe[number]["image"] for number in range(pairs)]
    return str(save_figure(gallery_figure(cube, deformed, seed), Path(output)))


if __name__ == "__main__":
    start(plot)
