"""All corrections of aiokafka: what it lacks or does wrong."""
