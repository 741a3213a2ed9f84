"""Models Genesis as a MONAI bundle: self-supervised pretraining of 3D medical-imaging networks."""

__all__ = ["__version__"]

__version__ = "0.1.0"
