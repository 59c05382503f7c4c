"""Models that learn from what came of retries; nothing here is imported by workers."""
