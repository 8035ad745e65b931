"""What the operator costs and how long it takes, measured on a real control plane with real runner pods."""
