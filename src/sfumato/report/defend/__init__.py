"""The page of a defence and of the attacks on it."""
