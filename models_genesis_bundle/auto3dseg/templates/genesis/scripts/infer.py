"""The name under which Auto3DSeg looks for the inference."""
