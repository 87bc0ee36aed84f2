"""What aiokafka lacks or does wrong, mended here and nowhere else."""
