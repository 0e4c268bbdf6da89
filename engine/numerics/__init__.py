"""Pure functions of arrays: responses, leakage, special functions, Fisher information.

Every kernel takes its namespace from its arguments, has leading batch axes, and never writes into one.
"""
