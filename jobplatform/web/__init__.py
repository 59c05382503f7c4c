"""What browsers and programs reach by HTTP: pages, the API, and what keeps both safe."""
