"""The page of a pruned network."""
