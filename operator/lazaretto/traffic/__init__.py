"""Ways to a model: one module a surface, behind the same Protocol."""
