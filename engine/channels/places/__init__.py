"""Maps that others published, read as surroundings: `engine.channels.places.place.place_from`."""
