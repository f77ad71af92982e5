"""Every setting, where it comes from, and which files may be believed."""
