"""Whether a revision carries traffic: the question, as a model's owner writes it, and what its answer means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lazaretto.api import reasons
from lazaretto.domain.dns_label import is_dns_label
from lazaretto.errors import InvalidInput

FIELD = "spec.trafficQuery"
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of a revision's traffic at one moment, and how its soak is counted."""

    carries: bool | None
    """None: that could not be told."""
    reason: str
    """For the condition of a revision that soaks."""
    message: str = ""


FLOWS = Traffic(True, reasons.SOAKING, "with traffic")
NONE = Traffic(False, reasons.NO_TRAFFIC, "without traffic now, which does not count")
NO_ANSWER = Traffic(None, reasons.TRAFFIC_UNKNOWN, "Prometheus does not answer, and meanwhile nothing counts")
REFUSED = Traffic(None, reasons.TRAFFIC_UNKNOWN, f"Prometheus refuses {FIELD} of the model, and nothing counts")
NO_QUERY = Traffic(True, reasons.SOAKING_BY_AVAILABILITY, f"by availability alone: the model has no {FIELD}")
NO_PROMETHEUS = Traffic(
    True, reasons.SOAKING_BY_AVAILABILITY, "by availability alone: the operator was told of no Prometheus"
)


def unusable(error: InvalidInput) -> Traffic:
    """For a question that cannot be asked."""
    return Traffic(None, reasons.TRAFFIC_UNKNOWN, f"{error.field} cannot be asked, and nothing counts: {error.remedy}")


def together(found: Sequence[Traffic]) -> Traffic:
    """A revision's, from that of its workloads: one that carries traffic is enough, and one unknown may be it."""
    order = {True: 0, None: 1, False: 2}
    return min(found, key=lambda each: order[each.carries], default=NO_ANSWER)


def traffic_query(expression: str, *, namespace: str, model: str, workload: str) -> str:
    """The expression with `$namespace`, `$model` and `$workload` in its quoted strings replaced by these names.

    Raises `InvalidInput` for a name that is no DNS label, for a variable that there is not, and for one outside of
    quotes: a name must only ever be a part of a string, never of the expression.
    """
    names = {"namespace": namespace, "model": model, "workload": workload}
    for variable, name in names.items():
        if not is_dns_label(name):
            raise InvalidInput(FIELD, name, f"the name of the {variable} is no DNS label, and does not go into a query")
    return "".join(_replaced(expression, names))


def _replaced(expression: str, names: Mapping[str, str]) -> list[str]:
    parts: list[str] = []
    place, within = 0, ""
    while place < len(expression):
        char = text = expression[place]
        variable = _VARIABLE.match(expression, place)
        length = 1
        if char == "\\" and within in ("'", '"'):
            text = expression[place : place + 2]
            length = 2
        elif char == within or (char == "\n" and within == "#"):
            within = ""
        elif not within and char in f"{_QUOTES}#":
            within = char
        elif variable and within != "#":
            text, length = _name(variable[1], names, quoted=bool(within)), len(variable[0])
        parts.append(text)
        place += length
    return parts


def _name(variable: str, names: Mapping[str, str], *, quoted: bool) -> str:
    if variable not in names:
        raise InvalidInput(FIELD, variable, f"there are {', '.join(f'${name}' for name in names)}, and no ${variable}")
    if not quoted:
        raise InvalidInput(FIELD, variable, f'write ${variable} within quotes, as in deployment="${variable}"')
    return names[variable]
