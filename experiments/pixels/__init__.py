"""Tables of spec 5: selectors at equal budgets, rounds, and the collapses of the literal method."""
