"""Seeded datasets, samplers and patch centres."""
