"""Passes on the `krnl` stage: schedules."""
