//! Reads, layers, resolves and explains the configuration
