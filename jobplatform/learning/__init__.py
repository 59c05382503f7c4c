"""What was learned of attempts that failed: features from the past, a model of the next attempt, and how good it is."""
