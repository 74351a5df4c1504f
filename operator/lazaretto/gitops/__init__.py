"""Tools that sync a namespace with a repository: kept from syncing what is held."""
