"""Optimizer, parameter groups and learning-rate schedules that torch lacks."""

from models_genesis_bundle.optim.muon import Muon
from models_genesis_bundle.optim.parameter_groups import parameter_groups
from models_genesis_bundle.optim.sawtooth import sawtooth

__all__ = ["Muon", "parameter_groups", "sawtooth"]
