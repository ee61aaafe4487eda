"""Sliding windows in memory."""


class Window:
    """What was taken in the last seconds, each whole second apart.

    A second counts until its last moment has left the window, so that no more than the quota is taken in any `seconds`
    on end; what was taken comes back up to a second late.
    """

    __slots__ = ("_taken", "used")

    def __init__(self) -> None:
        self._taken: list[tuple[int, int]] = []
        self.used = 0

    def slide(self, second: int, seconds: int) -> None:
        """Forget what no longer counts."""
        taken = self._taken
        first = second - seconds
        while taken and taken[0][0] < first:
            self.used -= taken.pop(0)[1]

    def add(self, second: int, amount: int) -> None:
        """Take an amount."""
        taken = self._taken
        if taken and taken[-1][0] >= second:
            last, before = taken[-1]
            taken[-1] = (last, before + amount)
        elif amount:
            taken.append((second, amount))
        self.used += amount

    def give_back(self, amount: int) -> None:
        """Take an amount back, the newest first."""
        taken = self._taken
        while amount and taken:
            second, before = taken.pop()
            back = min(amount, before)
            amount -= back
            self.used -= back
            if before > back:
                taken.append((second, before - back))

    def freed_in(self, second: int, seconds: int, amount: int = 1) -> int:
        """Return in how many seconds so much of what is taken will have come back."""
        for taken_at, before in self._taken:
            amount -= before
            if amount <= 0:
                return taken_at + seconds + 1 - second
        return seconds + 1 if self._taken else 0


class Recent[T]:
    """Values by key that are forgotten when nobody asked for them in `seconds`, or for so many others meanwhile.

    Two generations: what is asked for moves to the younger one, and from time to time, or when it is full, the younger
    becomes the older, and what is left in that is let go. So there are never more than `most` values, whoever asks.
    """

    def __init__(self, seconds: int, most: int) -> None:
        self._seconds = seconds
        self._half = most // 2
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}
        self._turned_at = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: str, second: int) -> T | None:
        """Return the value, if it is still known."""
        if second - self._turned_at > self._seconds:
            self._turn(second)
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.put(key, value, second)
        return value

    def put(self, key: str, value: T, second: int) -> None:
        """Remember a value."""
        if len(self._young) >= self._half:
            self._turn(second)
        self._young[key] = value

    def remove(self, key: str) -> None:
        """Forget a value."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def _turn(self, second: int) -> None:
        self._old = self._young
        self._young = {}
        self._turned_at = second
