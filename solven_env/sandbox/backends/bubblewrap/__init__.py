"""bubblewrap: kernel namespaces, kept for a thread by its session's holder."""
