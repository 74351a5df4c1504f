"""Reads manifests that somebody else wrote, as plain data and in bounded memory."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.events import AliasEvent


class _PlainLoader(yaml.SafeLoader):
    """Plain data and no aliases.

    A few lines of aliases to aliases stand for more data than fits in memory as soon as somebody writes them out,
    as a digest does.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuses an alias before anything is made of it."""
        if self.check_event(AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, "aliases are not read here; write out what the alias stands for", mark)
        return super().compose_node(parent, index)


def documents(text: str) -> list[Any]:
    """All YAML documents of the text; raises `ValueError` that says where it cannot be read."""
    try:
        # The loader is a SafeLoader: it makes no objects but plain data.
        return list(yaml.load_all(text, Loader=_PlainLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error
