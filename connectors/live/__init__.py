"""Live sources: one module per place that data are pulled from. Each fetches into files; `connectors.intake` loads them like any other file."""
