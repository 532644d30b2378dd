"""The doors between stages: data set, checkpoint, model, result."""
