"""Remote models: the frontier models that teach, and those that stand in for them."""
