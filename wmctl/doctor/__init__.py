"""Checks, made now, of what would fail later."""
