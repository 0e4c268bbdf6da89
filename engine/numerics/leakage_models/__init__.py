"""Models of the leakage, one a file: `spherical.py` holds the record SPHERICAL, which is known as 'spherical'."""
