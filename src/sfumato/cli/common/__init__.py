"""What the commands share: parser, run folder, settings, progress."""
