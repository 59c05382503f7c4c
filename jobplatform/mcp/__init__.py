"""The platform for agents: what they may look at, and what they may ask people to do."""
