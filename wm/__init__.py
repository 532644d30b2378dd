"""Ground floor of wmctl: games, models, store and artifacts, shared by every stage."""
