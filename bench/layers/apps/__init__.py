"""The same three calls in each framework: list users, one user by path parameter, a new user from a JSON body."""
