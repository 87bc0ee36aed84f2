"""Every panel and alert on a real Prometheus, against known truth."""
