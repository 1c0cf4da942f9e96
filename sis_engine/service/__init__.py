"""Many campaigns on one machine: a daemon with a durable queue, and a read-only web server.

``daemon`` starts campaigns as processes of their own (``sis run``) and outlives none of them badly:
killed, it finds them again; ``web`` only reads folders, in a process of its own, so that nothing
that comes over the network can reach the daemon.
"""
