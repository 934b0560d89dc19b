"""Protocol steps and messages as pure functions: no I/O; time, limits and randomness are arguments."""
