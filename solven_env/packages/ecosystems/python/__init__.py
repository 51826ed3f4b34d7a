"""Python packages: a virtual environment that uv installs from python.txt."""
