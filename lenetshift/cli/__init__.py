"""The command line: its options, its streams, its progress, its exit status."""
