"""Channels: from places to responses, with leading batch axes. Heavy packages are imported inside."""
