"""Workers watched, judged, replaced, and kept at the number that the queues ask for."""
