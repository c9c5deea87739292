"""The register: places of care, their sites and alliances, who works there, what stands there."""
