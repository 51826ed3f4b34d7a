"""Python and Bun environments: the tools that make them, the locks that pin them, the store that holds them."""
