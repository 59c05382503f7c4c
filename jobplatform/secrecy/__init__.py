"""Keys, signatures and ciphers of what travels and of what is kept."""
