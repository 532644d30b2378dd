"""How the prototypes trained, written anew from their description, for timing against."""
