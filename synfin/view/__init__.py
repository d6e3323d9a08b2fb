"""A flow for a person: ladder, summary, packet detail."""
