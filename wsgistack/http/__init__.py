"""The words of HTTP, pure: what fields say and how they are written."""
