"""What is wanted made true outside: one kind of work a module."""
