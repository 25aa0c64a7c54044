"""Who executes runs: processes of this machine, or a cluster."""
