"""Are the figures true? Load tools against servers whose truth is known."""
