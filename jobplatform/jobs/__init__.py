"""Jobs: how they are declared, submitted, decided on and seen from inside."""
