"""One file a subcommand, called as its file is."""
