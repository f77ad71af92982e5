"""What the paramiko worker stands on: connections, host keys, authentication, configuration, files."""
