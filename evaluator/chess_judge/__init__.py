"""Chess policies in paired games under python-chess rules."""
