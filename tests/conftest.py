"""Standing here, this file lets every test import the helper modules of `tests/` by name."""
