"""JSONata in a process of its own: what harms, harms only that."""
