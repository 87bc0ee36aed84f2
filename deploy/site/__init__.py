"""The documentation as a web site: `make site` builds it in build/site."""
