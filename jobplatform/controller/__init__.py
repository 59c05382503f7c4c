"""The process that sees the whole fleet: mirror, dispatcher and the other services, under one leader."""
