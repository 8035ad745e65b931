"""A LoadTest compiled to what runners are told, and divided among them exactly."""
