"""What Auto3DSeg calls of the algorithm."""
