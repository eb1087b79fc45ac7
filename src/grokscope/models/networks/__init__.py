"""The networks that model specs make: equinox modules. They import jax, which specs must not."""
