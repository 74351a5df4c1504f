"""The edge to the API server: what is sent, what an answer means, what a socket may do to it."""
