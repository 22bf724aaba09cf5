"""Layers on sequences: torch's own module as the trunk, a head for the scale."""
