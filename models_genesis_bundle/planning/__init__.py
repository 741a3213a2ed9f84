"""From a folder of scans to the settings that pretrain on it, a datalist and a report."""

from models_genesis_bundle.planning.device import Device
from models_genesis_bundle.planning.fingerprint import Fingerprint, LeftOut, fingerprint_scans
from models_genesis_bundle.planning.plan import Plan, Setting, make_plan
from models_genesis_bundle.planning.plan_folder import PlanFolder

__all__ = ["Device", "Fingerprint", "LeftOut", "Plan", "PlanFolder", "Setting", "fingerprint_scans", "make_plan"]
