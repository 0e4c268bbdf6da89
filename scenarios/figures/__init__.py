"""What the figures of several families share."""
