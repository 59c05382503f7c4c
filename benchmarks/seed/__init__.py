"""Tables as they are after months of work, made by the server itself; the same for the same seed."""
