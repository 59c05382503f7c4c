"""What is measured of the platform, under which names, and how it is told; health and traces as well."""
