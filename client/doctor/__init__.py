"""What `apprentice doctor` finds: every provider, server and place of a configuration, each looked at once."""
