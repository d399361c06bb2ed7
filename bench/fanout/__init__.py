"""One room of websocket clients: deliveries per CPU second, and latency, beside python-socketio and Django Channels."""
