"""What a request costs us, beside what it costs others, measured in one go on the same machine."""
