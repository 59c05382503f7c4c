"""Run the platform under load, break it at random times, and judge it by a ledger that it knows nothing of."""
