"""Files: written atomically, sealed with a hash, and read without trusting them."""
