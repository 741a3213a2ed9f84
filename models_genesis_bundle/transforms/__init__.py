"""The deformations of Models Genesis, and the masking of other pretext tasks, as MONAI transforms."""

from models_genesis_bundle.transforms.block_masking import RandBlockMasking, RandBlockMaskingd
from models_genesis_bundle.transforms.deformation import require_deformable
from models_genesis_bundle.transforms.grid_deform import GridDeformd
from models_genesis_bundle.transforms.local_pixel_shuffle import RandLocalPixelShuffle, RandLocalPixelShuffled
from models_genesis_bundle.transforms.nonlinear_intensity import RandNonlinearIntensity, RandNonlinearIntensityd
from models_genesis_bundle.transforms.painting import RandInPainting, RandInPaintingd, RandOutPainting, RandOutPaintingd
from models_genesis_bundle.transforms.sequential_flip import RandSequentialFlip, RandSequentialFlipd

__all__ = [
    "GridDeformd",
    "RandBlockMasking",
    "RandBlockMaskingd",
    "RandInPainting",
    "RandInPaintingd",
    "RandLocalPixelShuffle",
    "RandLocalPixelShuffled",
    "RandNonlinearIntensity",
    "RandNonlinearIntensityd",
    "RandOutPainting",
    "RandOutPaintingd",
    "RandSequentialFlip",
    "RandSequentialFlipd",
    "require_deformable",
]
