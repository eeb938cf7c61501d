"""What ``doctor`` looks at, a file for each kind of thing; none imports torch in this process."""
