"""proot: paths rewritten with ptrace, for hosts without user namespaces. No security boundary."""
