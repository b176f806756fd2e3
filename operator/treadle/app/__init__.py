"""The composition root: reads the environment, builds everything, and decides nothing."""
