//! Properties of the domain, held against independent oracles.

mod detector;
mod oracle;
mod week;
mod windows;
