"""Workers that are watched, replaced before they die, and scaled before the queue is full."""
