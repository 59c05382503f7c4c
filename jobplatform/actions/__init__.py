"""What people and programs do with the platform: one function an action, for pages, HTTP, CLI and agents alike."""
