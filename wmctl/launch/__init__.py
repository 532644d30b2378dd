"""Where stages run: one small interface, several launchers."""
