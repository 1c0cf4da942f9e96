"""The read-only web server: an API, a page, and metrics, from what is on disk."""
