"""The report of a run: collected from the store, rendered as one self-contained page."""
