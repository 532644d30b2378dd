"""A cluster that is only simulated: whole nights in milliseconds, with whatever may go wrong."""
