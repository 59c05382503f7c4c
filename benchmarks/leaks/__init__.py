"""Workers that leak, stand still or are killed, in fleets of real processes."""
