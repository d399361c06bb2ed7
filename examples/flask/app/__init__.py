"""A Flask app, which is WSGI, behind a2wsgi."""
