"""Open311 GeoReport v2 under `/open311/v2/`: our mapping is in `docs/open311.md`."""
