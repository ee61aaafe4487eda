"""Whether a value looks like an attack: the one question that this package answers."""

from typing import Final

from sarvanom.security.inspection.folding import fold
from sarvanom.security.inspection.grammar import Grammar
from sarvanom.security.inspection.normalising import normalise
from sarvanom.security.inspection.patterns import load_patterns
from sarvanom.security.inspection.verdicts import Verdict
from sarvanom.shared.models.profiles import Profile

_PLAIN: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@"
"""Characters of which no attack can be made."""

_MAX_JUDGED: Final = 2048
"""How many characters the slower engine is given at most: names are shorter."""


def is_plain(text: str) -> bool:
    """Tell, at little cost, whether a text holds nothing of which an attack could be made."""
    return not text.strip(_PLAIN)


class Inspector:
    """Patterns and grammar, ready to be asked; may be shared by threads."""

    def __init__(self) -> None:
        self._sets = {profile: load_patterns(profile) for profile in (Profile.FREE, Profile.STRICT)}
        self._grammar = Grammar()
        fold("\u00e9")  # Looks up what becomes of every character, so that the first request need not wait for it.

    def inspect(self, text: str, profile: Profile) -> Verdict | None:
        """Return what a value is taken for, or None if it looks honest; raises nothing, whatever the text holds."""
        if profile is Profile.OFF or is_plain(text):
            return None
        forms = normalise(text)
        search = self._sets[profile].search
        for form in dict.fromkeys(forms):
            if (found := search(form)) is not None:
                return Verdict(*found, profile)
        if profile is Profile.STRICT and len(forms.decoded) <= _MAX_JUDGED:
            return self._grammar.judge(forms.decoded)
        return None
