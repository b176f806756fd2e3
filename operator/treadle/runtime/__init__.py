"""The turn: take events, handle, save, then bring the world in line."""
