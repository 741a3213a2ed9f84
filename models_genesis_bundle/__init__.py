"""Models Genesis as a MONAI bundle: self-supervised pretraining of 3D medical-imaging networks."""

from models_genesis_bundle.version import __version__

__all__ = ["__version__"]
