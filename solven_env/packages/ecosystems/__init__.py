"""The package worlds that a profile can name, a module or a folder each."""
