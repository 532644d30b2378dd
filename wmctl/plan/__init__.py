"""Plans: YAML as people write it, checked and resolved into the nodes of a run."""
