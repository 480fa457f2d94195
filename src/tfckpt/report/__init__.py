"""Reports as text and as JSON: views of the values in `tfckpt.core.report`, nothing else."""
