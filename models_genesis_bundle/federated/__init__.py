"""Federated pretraining: the sites exchange weights, but no scans."""

from models_genesis_bundle.federated.site import (
    PretrainingSite,
    SiteUpdate,
    read_settings,
    site_config,
    write_global_weights,
)

__all__ = ["PretrainingSite", "SiteUpdate", "read_settings", "site_config", "write_global_weights"]
