"""The systems under test, each behind the same small interface."""
