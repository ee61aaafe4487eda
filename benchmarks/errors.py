"""What can go wrong while measuring."""


class MeasurementFailed(Exception):
    """A system could not be started, driven or read; the message says why."""
