"""System calls that Python lacks, files that survive a crash, where files lie, and what an OSError means."""
