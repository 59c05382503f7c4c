"""What keeps the queues and the rows in step, run by the controller."""
