"""What tests of the whole product share: an operator process, people, servers, hostile things.

The one rule: a test sees what a user of a cluster sees, and waits for it with a limit.
"""
