"""What a route may ask for; the only reader of ``app.state``."""
