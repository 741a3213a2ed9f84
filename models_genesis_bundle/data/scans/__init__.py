"""Reading, checking and preprocessing of one scan."""
