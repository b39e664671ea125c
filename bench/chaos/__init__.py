"""What visitors notice while nodes and workers fail under load; `make chaos`."""
