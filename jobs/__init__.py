"""The jobs of the command line `nearfield`, one file each."""
