"""Ways out, as a program that runs where it is put: in a sandbox, and as a control where there is none.

It needs a Python ≥ 3.9 and its standard library alone. `python3 -m inside FACTS [KIND...]` makes each try, or those of
the kinds named, in a process of its own, and prints one line of JSON for each: kind, name, outcome and detail. FACTS is
JSON about what the test has made to be attacked (`tests/hostile/world.py`).
"""
