"""Melee: Slippi replays in, packed frames out."""
