"""From a launch plan and a command to an isolated process. Knows no profile, no build, no storage."""
