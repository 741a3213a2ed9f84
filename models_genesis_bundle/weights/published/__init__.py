"""The weight files that others published: how they are recognised, read and had."""
