"""Queues in Redis: a job is in exactly one place (queue, lease or journal), and each move is one script."""
