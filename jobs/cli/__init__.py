"""From the words of a command line to descriptions, and progress back."""
