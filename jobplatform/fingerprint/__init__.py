"""What errors have in common: their identity without variable parts, what they point at, and how alike they are."""
