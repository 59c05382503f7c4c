"""What jobplatform looks like in use."""
