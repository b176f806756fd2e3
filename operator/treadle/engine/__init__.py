"""The interpreter: told what happened and what time it is, it answers what must exist outside."""
