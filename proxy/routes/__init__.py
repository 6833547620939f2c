"""What clients can ask for, one file a subject. Handlers translate between HTTP and the proxy; they decide nothing."""
