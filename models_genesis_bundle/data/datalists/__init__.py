"""Which scans there are, of which patients, and how they are split."""
