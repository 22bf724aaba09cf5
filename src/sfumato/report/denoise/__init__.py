"""The page of a search for wrong labels."""
