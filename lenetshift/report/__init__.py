"""What people read: tables and figures, from finished results."""
