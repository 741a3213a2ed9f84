"""Parts of the bundle's configurations, for code outside of them."""

from models_genesis_bundle.bundle_config.genesis_pairs import genesis_pairs

__all__ = ["genesis_pairs"]
