"""Colours of lines that colour-blind readers can distinguish."""

# Based on: Petroff, Accessible Color Sequences for Data Visualization, arXiv:2107.02270, without its two greys.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#92dadd")
