"""Chess: PGN and JSON lines in, packed moves out; rules by python-chess."""
