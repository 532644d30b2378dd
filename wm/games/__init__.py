"""Games: how raw files are read, what a row of a data set holds, and the rules (no torch)."""
