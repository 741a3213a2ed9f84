"""Colours of lines that colour-blind readers can tell apart."""

# Based on: Petroff, Accessible Color Sequences for Data Visualization, arXiv:2107.02270. Without its two greys, which vanish
# on a scan.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#92dadd")
