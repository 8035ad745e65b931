"""What a manifest must mean, beyond its shape: rules that look at the raw values, so that faults of shape hide none."""
