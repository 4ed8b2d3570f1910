//! What every backend needs
