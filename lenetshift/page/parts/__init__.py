"""What pages are made of: blocks of data, the joined script and its policy, templates, style, and the modules
of JavaScript that both pages use."""
