"""Prints the custom resource definitions from the kinds in `lazaretto.api`.

`render` gives one definition as data, `render_all` every file of `crds/` as text, the same
text for the same kinds on every machine. What a definition cannot say, or must not leave
open, raises `SchemaError` naming the place: a constraint is never dropped in silence.
"""

from lazaretto.crdgen.render import render, render_all
from lazaretto.crdgen.structural import structural
from lazaretto.errors import SchemaError

__all__ = ["SchemaError", "render", "render_all", "structural"]
