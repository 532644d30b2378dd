"""Data set -> checkpoints and a model. `python -m trainer --spec URL`"""
