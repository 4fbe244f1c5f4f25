//! Placeholder until the world stands.
