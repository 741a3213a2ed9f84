"""One scan, from its file to a scaled image."""
