"""The page of a privacy card."""
