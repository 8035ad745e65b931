"""A run's life as a table of states: observe what is there, decide (pure), act, say in the status how it stands."""
