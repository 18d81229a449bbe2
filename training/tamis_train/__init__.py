"""Training of heads, which read tamis' latents, of codecs, and of neural decoders."""
