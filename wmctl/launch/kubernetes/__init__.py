"""Stages as jobs of a Kubernetes cluster."""
