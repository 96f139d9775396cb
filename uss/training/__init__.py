"""Training: objectives, schedules, the LightningModule, the bundle's export."""
