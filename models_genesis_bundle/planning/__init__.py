"""From a folder of scans, or from nnU-Net's plans, to the settings of a pretraining."""

from models_genesis_bundle.planning.device import Device
from models_genesis_bundle.planning.fingerprint import Fingerprint, fingerprint_scans
from models_genesis_bundle.planning.nnunet_overlay import settings_from_plans
from models_genesis_bundle.planning.plan import Plan, Setting, make_plan
from models_genesis_bundle.planning.plan_folder import PlanFolder, write_overlay

__all__ = [
    "Device",
    "Fingerprint",
    "Plan",
    "PlanFolder",
    "Setting",
    "fingerprint_scans",
    "make_plan",
    "settings_from_plans",
    "write_overlay",
]
