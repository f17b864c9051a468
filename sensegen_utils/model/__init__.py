"""The models: generator, mixture density, whitening filter, discriminator; training and sampling."""
