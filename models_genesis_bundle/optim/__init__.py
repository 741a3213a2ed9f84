"""Optimizer, parameter groups and learning-rate schedules that torch lacks."""

from models_genesis_bundle.optim.learning_rates import parameter_groups, sawtooth
from models_genesis_bundle.optim.muon import Muon

__all__ = ["Muon", "parameter_groups", "sawtooth"]
