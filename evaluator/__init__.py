"""Models -> arena result: ``python -m evaluator --spec URL``."""
