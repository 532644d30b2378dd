"""Bytes between this machine and the store: raw games in, results home."""
