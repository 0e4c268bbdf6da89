"""`python -m jobs` is `nearfield`."""

from jobs.main import main

if __name__ == "__main__":
    main()
