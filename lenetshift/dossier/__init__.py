"""What a run keeps in its folder: the job, its checkpoints, its result files, what it ran on."""
