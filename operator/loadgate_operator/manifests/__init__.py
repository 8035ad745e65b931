"""Pure builders of the objects that a run is made of; nothing here talks to a cluster."""
