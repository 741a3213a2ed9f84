"""Prepared volumes, and the cubes that are read from them."""
