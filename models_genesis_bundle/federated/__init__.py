"""Federated pretraining: the sites exchange weights and keep their scans."""

from models_genesis_bundle.federated.global_weights import write_global_weights
from models_genesis_bundle.federated.site import PretrainingSite, SiteUpdate

__all__ = ["PretrainingSite", "SiteUpdate", "write_global_weights"]
