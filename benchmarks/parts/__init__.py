"""What is measured besides the load on all systems, each part on its own."""
