"""Makes `runtime_programs` importable from the folders below."""
