"""The modules of the algorithm that Auto3DSeg calls."""
