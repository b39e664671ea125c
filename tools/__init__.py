"""Programs that make, CI and the tests run; nothing here is part of the package."""
