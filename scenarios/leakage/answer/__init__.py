"""Where the user is, as one answer: the posterior over the area, and whether the model holds at all."""
