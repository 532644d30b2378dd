"""A run: its history, what to do next, and the verdict."""
