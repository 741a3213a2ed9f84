"""Weight files that others published: their layouts, their addresses, and how they are loaded."""
