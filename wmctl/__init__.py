"""Plan, launch, watch, decide, report."""
