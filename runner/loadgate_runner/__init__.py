"""Makes traffic from a plan and measures it: the program inside a runner pod."""
