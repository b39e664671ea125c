"""Bridges to frameworks; each module needs its framework and is imported by nothing else."""
