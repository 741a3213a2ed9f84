"""The file forms of the places where weights go to: Auto3DSeg's algorithms, MONAI's networks, nnU-Net, nnssl."""
