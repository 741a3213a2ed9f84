"""The weight files that the authors of Models Genesis published: how they are recognised, read and had."""
