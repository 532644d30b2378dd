"""World models of Melee in duels on held-out replays."""
