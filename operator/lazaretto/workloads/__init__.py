"""Things that run a model and things that scale them: one module a kind, behind one Protocol."""
