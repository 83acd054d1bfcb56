"""Aliases that are set while the gateway runs, beside those of the configuration; what both say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.control.traffic.refusals import NotNow, NotThere, Refused, not_there
from gateway.control.traffic.state import AliasChange, AliasState, Remembered
from gateway.control.traffic.steering import By
from gateway.traffic.check import alias_problems
from gateway.traffic.sections import ModelName, TrafficSection

_MOST = 1000
_NAME: TypeAdapter[str] = TypeAdapter(ModelName)


class Aliases:
    """All aliases.

    Args:
        section: the configuration.
        remembered: where those that were set by hand are kept; it is kept up to date.
    """

    def __init__(self, section: TrafficSection, remembered: Remembered) -> None:
        self._section, self._remembered = section, remembered

    @property
    def by_hand(self) -> dict[str, str]:
        """Those that differ from the configuration; an empty text takes one away."""
        return {name: alias.to for name, alias in self._remembered.aliases.items()}

    @property
    def meanings(self) -> dict[str, str]:
        """What each alias means now."""
        return {name: to for name, to in {**self._section.aliases, **self.by_hand}.items() if to}

    def as_list(self) -> list[dict[str, Any]]:
        """All of them for programs, those that were taken away too."""
        meanings, by_hand = self.meanings, self.by_hand
        return [
            {
                "name": name,
                "to": meanings.get(name),
                "configured": self._section.aliases.get(name),
                "by_hand": name in by_hand,
                "history": [
                    {"at": change.at, "who": change.who, "what": change.what, "why": change.why}
                    for change in self._remembered.alias_history
                    if change.name == name
                ],
            }
            for name in sorted({*self._section.aliases, *by_hand})
        ]

    def reconfigure(self, section: TrafficSection) -> list[str]:
        """Go by another configuration.

        Returns:
            lines for people: aliases that were set by hand, and whose configuration is another one now.
        """
        self._section = section
        lost = [
            name
            for name, alias in self._remembered.aliases.items()
            if section.aliases.get(name, "") != alias.of or self._problem(name, self.meanings)
        ]
        for name in lost:
            del self._remembered.aliases[name]
        return [f"alias {name}: the configuration has changed, and holds again" for name in lost]

    def set(self, name: str, to: str, by: By) -> str:
        """Have a name mean a model, `NAME` or `NAME/VERSION`.

        Returns:
            what was done, for people.

        Raises:
            Refused: the name cannot be an alias, or cannot mean that.
        """
        try:
            _NAME.validate_python(name)
            _NAME.validate_python(to.partition("/")[0])
        except ValidationError:
            raise Refused(
                f"an alias {name!r} of {to!r} cannot be; names have letters, digits and . _ - in them, as in "
                "latest-stable and magika/3"
            ) from None
        meanings = {**self.meanings, name: to}
        if problem := self._problem(name, meanings):
            raise Refused(f"alias {name!r}: {problem}")
        if self.meanings.get(name) == to:
            raise NotNow(f"alias {name!r} means {to} already; nothing was changed")
        if name not in self._remembered.aliases and len(self._remembered.aliases) >= _MOST:
            raise NotNow(f"{_MOST} aliases were set by hand; take some away, or write them into the configuration")
        return self._put(name, to, f"means {to}", by)

    def remove(self, name: str, by: By) -> str:
        """Take an alias away, even one of the configuration.

        Returns:
            what was done, for people.

        Raises:
            NotThere: there is none of this name.
        """
        if name not in self.meanings:
            if name in self._section.aliases:
                raise NotThere(f"alias {name!r} was taken away already")
            raise not_there("alias", name, self.meanings)
        return self._put(name, "", "taken away", by)

    def _put(self, name: str, to: str, what: str, by: By) -> str:
        configured = self._section.aliases.get(name, "")
        if to == configured:
            self._remembered.aliases.pop(name, None)
        else:
            self._remembered.aliases[name] = AliasState(configured, to)
        self._remembered.note(AliasChange(name, by.at, by.who, what, by.why))
        return what

    def _problem(self, name: str, meanings: Mapping[str, str]) -> str | None:
        """What is wrong with one of these aliases; None if nothing is."""
        public = {route.model for route in self._section.routes}
        found = (each for each in alias_problems(meanings, public, None) if each.place == ("aliases", name))
        return next((each.message for each in found), None)
