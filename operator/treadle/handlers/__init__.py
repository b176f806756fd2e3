"""Kopf's handlers: doorways. They decode, post and return; nothing is decided here."""
