"""Ratings from results, whatever was played. Needs numpy only."""
