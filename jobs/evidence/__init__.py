"""Records behind the numbers of README and docs/: one a file, found by its name, made by `nearfield evidence NAME`."""
