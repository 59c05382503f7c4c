"""The demo: a durable run over the Python standard library of this machine."""
