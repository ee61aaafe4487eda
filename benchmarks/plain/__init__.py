"""The same users API, written the way tutorials write it: the yardstick of what the project saves."""
