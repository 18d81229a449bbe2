"""Training of heads: small models that read tamis' latents."""
