"""What a runner measures, and how it is doing itself: recorder, health, snapshots, Prometheus text."""
