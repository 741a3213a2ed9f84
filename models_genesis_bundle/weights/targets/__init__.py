"""Weights in the file forms of other frameworks: Auto3DSeg, MONAI, nnU-Net and nnssl."""
