"""Weights in the formats of other frameworks: Auto3DSeg, MONAI, nnU-Net and nnssl."""
